"""Servers that fail: what the client is told, who is asked instead, and that nothing is lost by it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest

from client.support import MakeRaw, read_request
from engine.certificates import authority_file, pair
from engine.support import WAIT, Serve
from firstbyte import App
from firstbyte.app.pages import error_response
from firstbyte.engine.tls import TLS
from firstbyte.proxy import Proxy, ProxyTimeouts
from proxy.support import Proxied, Upstream, ask

SOON = 0.05  # seconds: a timeout that is to come
MIB = 1 << 20
OK = b"HTTP/1.1 200 OK\r\n"


def hang(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


def after(answer: bytes, then: Callable[[socket.socket], Any] = lambda sock: None) -> Callable[[socket.socket], None]:
    """Answers a request, and ends the connection after `then`."""

    def run(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(answer)
        then(sock)

    return run


def nobody() -> str:
    """Where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (after(b""), 502, b"closed the connection"),
        (after(OK + b"Content-Le"), 502, b"closed the connection"),
        (after(b"SSH-2.0-x\r\n\r\n"), 502, b"no valid HTTP"),
        (after(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 502, b"no valid HTTP"),
        (after(OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 502, b"no valid HTTP"),
        (after(OK + b"Transfer-Encoding: chunked\r\n\r\nx\r\n"), 502, b"no valid HTTP"),
        (after(OK + b"A: b\r\n c\r\n\r\n"), 502, b"no valid HTTP"),
        (after(b"HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n"), 502, b"no valid HTTP"),
        (after(b"HTTP/1.1 103 A\r\n\r\n" * 21), 502, b"no valid HTTP"),
        (hang, 504, b"did not answer in time"),
    ],
)
def test_what_the_client_is_told(answer: Any, status: int, said: bytes, proxied: Proxied, raw: MakeRaw) -> None:
    timeouts = ProxyTimeouts(first_byte=SOON if answer is hang else WAIT)
    client = proxied(raw(answer), timeouts=timeouts, error_page=error_response).client()
    for _ in range(2):
        told, _, body = ask(client)
        while told < 200:
            told, _, body = client.read()
        assert told == status
        assert said in body and b"127.0.0.1" not in body


def test_nobody_is_there(proxied: Proxied) -> None:
    status, _, body = ask(proxied(nobody()).client())
    assert status == 502 and b"could not be reached" in body and b"127.0.0.1" not in body


def test_in_development_it_is_told_who_failed(proxied: Proxied) -> None:
    place = nobody()
    _, _, body = ask(proxied(place, debug=True).client())
    assert place.removeprefix("http://").encode() in body


def test_all_connections_are_in_use(proxied: Proxied, raw: MakeRaw) -> None:
    proxy = proxied(raw(hang), max_connections=1, timeouts=ProxyTimeouts(pool=SOON))
    first = proxy.client().get()
    proxy.recorder.wait_for("head")
    status, _, body = ask(proxy.client())
    assert status == 503 and b"in use" in body
    first.close()


def test_a_name_without_an_address(proxied: Proxied) -> None:
    assert ask(proxied("http://nobody.invalid").client())[0] == 502


def test_a_server_that_does_not_accept_in_time(proxied: Proxied) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = []
        for _ in range(3):  # until the kernel lets nobody in any more
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
            waiting.append(sock)
        place = f"http://127.0.0.1:{full.getsockname()[1]}"
        status, _, body = ask(proxied(place, timeouts=ProxyTimeouts(connect=SOON)).client())
        assert status == 504 and b"accept a connection" in body
        for sock in waiting:
            sock.close()


def test_a_server_that_does_not_take_the_body_in_time(proxied: Proxied, raw: MakeRaw) -> None:
    over = threading.Event()
    proxy = proxied(raw(lambda sock: over.wait(WAIT)), timeouts=ProxyTimeouts(write=SOON), error_page=error_response)
    client = proxy.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")

    def upload() -> None:
        try:
            while True:
                client.sock.sendall(bytes(65536))
        except OSError:
            pass  # nobody takes it any more

    thread = threading.Thread(target=upload)
    thread.start()
    status, _, body = client.read()
    assert status == 504 and b"did not take the request" in body
    over.set()
    client.close()
    thread.join()


def test_a_slow_reader_holds_a_download_back(proxied: Proxied, raw: MakeRaw) -> None:
    size = 64 * MIB
    sent = 0
    full = threading.Event()

    def answer(sock: socket.socket) -> None:
        nonlocal sent
        read_request(sock)
        sock.sendall(OK + b"Content-Length: %d\r\n\r\n" % size)
        sock.settimeout(0.5)
        try:
            while sent < size:
                sent += sock.send(bytes(MIB))
        except TimeoutError:
            full.set()  # nothing was taken for that long
        sock.settimeout(WAIT)
        sock.sendall(bytes(size - sent))

    client = proxied(raw(answer)).client().get()
    assert full.wait(WAIT)
    assert sent < size // 2  # what is taken without being read is bounded: a few buffers of the kernel, and ours
    client.read(head_only=True)
    got = len(client.buffer)
    while got < size:
        piece = client.sock.recv(MIB)
        assert piece
        got += len(piece)
    assert got == size


def test_silence_within_the_answer_breaks_it_off(proxied: Proxied, raw: MakeRaw) -> None:
    server = raw(after(OK + b"Content-Length: 5\r\n\r\nhe", hang))
    rest = proxied(server, timeouts=ProxyTimeouts(between=SOON)).client().get().rest()
    assert rest.endswith(b"\r\n\r\nhe")


def test_an_event_stream_may_be_silent_for_longer(proxied: Proxied, raw: MakeRaw) -> None:
    server = raw(after(OK + b"Content-Type: text/event-stream; charset=utf-8\r\n\r\n", hang))
    client = proxied(server, timeouts=ProxyTimeouts(idle=SOON)).client().get()
    assert client.read(head_only=True)[0] == 200  # the head has come before the first event
    assert client.rest() == b""


def test_a_reset_within_an_answer_of_unknown_length_is_seen(proxied: Proxied, raw: MakeRaw) -> None:
    def reset(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    read = threading.Event()
    server = raw(after(OK + b"\r\nhello", lambda sock: (read.wait(WAIT), reset(sock))))
    client = proxied(server).client().get()
    while b"hello" not in client.buffer:
        client.more()
    read.set()
    assert not client.rest().endswith(b"0\r\n\r\n")


def test_a_client_of_1_0_sees_that_an_answer_is_not_whole(proxied: Proxied, raw: MakeRaw) -> None:
    client = proxied(raw(after(OK + b"Content-Length: 5000\r\n\r\nhe"))).client()
    client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    chunked = proxied(raw(after(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n"))).client()
    chunked.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    assert client.read(head_only=True)[1]["content-length"] == "5000"
    with pytest.raises(ConnectionResetError):
        chunked.rest()


def test_an_early_answer_ends_the_upload(proxied: Proxied, raw: MakeRaw) -> None:
    def refuse(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        hang(sock)

    client = proxied(raw(refuse)).client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")
    stop = threading.Event()

    def upload() -> None:
        try:
            while not stop.is_set():
                client.sock.sendall(bytes(65536))
        except OSError:
            pass  # it has had enough

    thread = threading.Thread(target=upload)
    thread.start()
    assert client.read()[0] == 413
    stop.set()
    client.sock.shutdown(socket.SHUT_RDWR)
    thread.join(WAIT)


@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"])
@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_an_early_answer_does_not_wait_for_a_client_that_has_stalled(
    framing: bytes, interim: bytes, proxied: Proxied, raw: MakeRaw
) -> None:
    goes_on = threading.Event()

    def refuse(sock: socket.socket) -> None:
        while b"begin" not in sock.recv(65536):
            pass
        if interim:
            sock.sendall(interim)
            assert goes_on.wait(WAIT)
        sock.sendall(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        hang(sock)

    client = proxied(raw(refuse)).client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n5\r\nbegin\r\n" % framing)
    if interim:
        assert client.read(head_only=True)[0] == 103
        goes_on.set()
    assert client.read()[0] == 413


def test_a_client_that_leaves_within_its_body(proxied: Proxied, raw: MakeRaw) -> None:
    got, ended = threading.Event(), threading.Event()

    def watch(sock: socket.socket) -> None:
        data = b""
        while piece := sock.recv(65536):
            data += piece
            if data.endswith(b"part"):
                got.set()
        ended.set()

    client = proxied(raw(watch)).client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npart")
    assert got.wait(WAIT)
    client.close()
    assert ended.wait(WAIT)


def test_a_body_that_is_too_long(proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    client = proxied(raw(upstream), max_body=10).client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world")
    assert client.read()[0] == 413
    assert upstream.requests == []


def test_a_kept_connection_that_died_is_replaced(proxied: Proxied, raw: MakeRaw) -> None:
    server = raw(after(OK + b"Content-Length: 2\r\n\r\nok"))  # without Connection: close
    client = proxied(server).client()
    assert [ask(client)[0] for _ in range(5)] == [200] * 5


# -- several servers


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_server_is_asked_where_one_is_not_there(method: str, proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    client = proxied(nobody(), raw(upstream), nobody()).client()
    for _ in range(4):
        client.send(f"{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi".encode())
        assert client.read()[0] == 200
    assert all(request.endswith(b"hi") for request in upstream.requests)


@pytest.mark.parametrize(("method", "statuses"), [("GET", {200}), ("POST", {200, 502})])
def test_what_is_safe_is_asked_again_elsewhere(method: str, statuses: set[int], proxied: Proxied, raw: MakeRaw) -> None:
    dying = raw(after(b""))
    proxy = proxied(dying, raw(Upstream()))
    seen = {ask(proxy.client(), method=method)[0] for _ in range(6)}
    assert seen == statuses
    assert dying.connections == 1  # then it was left alone


def test_all_are_asked_before_it_fails(proxied: Proxied, raw: MakeRaw) -> None:
    servers = [raw(after(b"")) for _ in range(3)]
    client = proxied(*servers).client()
    assert ask(client)[0] == 502
    assert [server.connections for server in servers] == [1, 1, 1]
    assert ask(client)[0] == 502  # those that rest are asked where no other is left


def test_the_one_that_has_least_to_do_is_asked(proxied: Proxied, raw: MakeRaw) -> None:
    asked, go = threading.Event(), threading.Event()

    def named(name: bytes) -> Callable[[socket.socket], None]:
        def answer(sock: socket.socket) -> None:
            while True:
                if b"/wait" in read_request(sock):
                    asked.set()
                    assert go.wait(WAIT)
                sock.sendall(OK + b"Content-Length: 1\r\n\r\n" + name)

        return answer

    proxy = proxied(raw(named(b"a")), raw(named(b"b")))
    assert {ask(proxy.client())[2] for _ in range(4)} == {b"a", b"b"}
    waiting = proxy.client().get("/wait")
    assert asked.wait(WAIT)
    others = {ask(proxy.client())[2] for _ in range(4)}
    go.set()
    assert others | {waiting.read()[2]} == {b"a", b"b"} and len(others) == 1


# -- other ways to a server


def test_a_unix_socket(tmp_path: Any, proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    path = str(tmp_path / "a.sock")
    raw(upstream, family=socket.AF_UNIX, address=path)
    assert ask(proxied(f"unix:{path}").client(), path="/a")[0] == 200
    assert upstream.heads[0][0] == "GET /a HTTP/1.1"


def test_the_certificate_of_a_server_is_checked(tmp_path: Any, serve: Serve, proxied: Proxied) -> None:
    app = App()
    app.add_route("/", lambda: "secure")
    cert, key = pair(tmp_path, "localhost")
    trusted = str(authority_file(tmp_path))
    server = serve(app, tls=TLS(str(cert), str(key)))
    place = f"https://localhost:{server.server.port}"
    assert ask(proxied(place, verify=trusted).client())[2] == b"secure"
    status, _, body = ask(proxied(place).client())
    assert status == 502 and b"securely" in body
    other = f"https://127.0.0.1:{server.server.port}"
    assert ask(proxied(other, verify=trusted).client())[0] == 502


def test_a_stop_waits_for_the_answer(proxied: Proxied, raw: MakeRaw) -> None:
    asked, go = threading.Event(), threading.Event()

    def late(sock: socket.socket) -> None:
        read_request(sock)
        asked.set()
        assert go.wait(WAIT)
        sock.sendall(OK + b"Content-Length: 2\r\n\r\nok")

    proxy = proxied(raw(late))
    client = proxy.client().get()
    assert asked.wait(WAIT)
    stopping = threading.Thread(target=proxy.server.stop)
    stopping.start()
    go.set()
    assert client.read()[2] == b"ok"
    stopping.join(WAIT)


def test_a_proxy_without_servers_is_none() -> None:
    with pytest.raises(Exception, match="needs a server"):
        Proxy()
