"""What a call does beyond one exchange: redirects, cookies, authentication, retries, timeouts, hooks, kept
connections."""

from __future__ import annotations

import gzip
import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from client.support import MakeFace, MakeRaw, read_request
from firstbyte.client import ClientResponse, Hooks, Timeout
from firstbyte.client.auth import Auth, Digest
from firstbyte.client.cookies import CookieJar
from firstbyte.client.retries import Retry
from firstbyte.errors import (
    BadResponse,
    ClientError,
    ConnectError,
    ConnectTimeout,
    InvalidRequest,
    PoolTimeout,
    ServerClosed,
)

NOW = Retry(total=2, backoff=0)


def answer(status: str = "200 OK", fields: str = "", body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Script:
    """Answers by a function of the request line's target; keeps the requests."""

    def __init__(self, answers: Callable[[str], bytes]) -> None:
        self._answers = answers
        self.requests: list[bytes] = []

    def __call__(self, sock: socket.socket) -> None:
        while True:
            request = read_request(sock)
            self.requests.append(request)
            sock.sendall(self._answers(request.split(b" ")[1].decode()))

    def field(self, index: int, name: str) -> str | None:
        match = re.search(rf"\r\n{name}: ([^\r]*)".encode(), self.requests[index], re.IGNORECASE)
        return match[1].decode() if match else None


# -- redirects


def test_redirects_are_followed_and_told(face: MakeFace, raw: MakeRaw) -> None:
    hops = {"/a": answer("302 Found", "Location: b\r\n", b"x"), "/b": answer("308 On", "Location: /c?d\r\n")}
    server = raw(Script(lambda target: hops.get(target, answer(body=b"end"))))
    response = face().get(f"{server.url}/a")
    assert response.content == b"end"
    assert [(hop.status, hop.url.target) for hop in response.history] == [(302, "/a"), (308, "/b")]
    assert response.history[0].content == b"x"
    assert response.url.target == "/c?d"
    assert server.connections == 1
    assert face(follow_redirects=False).get(f"{server.url}/a").status == 302
    assert face().get(f"{server.url}/a", follow_redirects=False).history == ()


def test_a_post_that_is_redirected(face: MakeFace, raw: MakeRaw) -> None:
    script = Script(lambda target: answer("303 See Other", "Location: /b\r\n") if target == "/a" else answer())
    face().post(f"{raw(script).url}/a", json=[1])
    assert script.requests[1].startswith(b"GET /b ")
    assert script.field(1, "content-type") is None
    script = Script(lambda target: answer("307 On", "Location: /b\r\n") if target == "/a" else answer())
    face().post(f"{raw(script).url}/a", json=[1])
    assert script.requests[1].startswith(b"POST /b ") and script.requests[1].endswith(b"[1]")


def test_credentials_stay_with_their_origin(face: MakeFace, raw: MakeRaw) -> None:
    other = Script(lambda target: answer())
    elsewhere = raw(other).url
    first = Script(lambda target: answer("302 Found", f"Location: {elsewhere}/x\r\n"))
    face().get(raw(first).url, auth=("u", "p"), headers={"X-Kept": "1"}, cookies={"a": "b"})
    assert first.field(0, "authorization") and first.field(0, "cookie") == "a=b"
    assert other.field(0, "authorization") is None and other.field(0, "cookie") is None
    assert other.field(0, "x-kept") == "1"


def test_credentials_in_the_url(face: MakeFace, raw: MakeRaw) -> None:
    script = Script(lambda target: answer())
    response = face().get(raw(script).url.replace("//", "//u:p%20q@"))
    assert script.field(0, "authorization") == "Basic dTpwIHE="
    assert "p%20q" not in str(response.url)


# -- cookies


def test_cookies_come_back(face: MakeFace, raw: MakeRaw) -> None:
    script = Script(lambda target: answer(fields="Set-Cookie: sid=1; Path=/\r\nset-cookie: t=2; Path=/x\r\n"))
    server = raw(script)
    session = face(base_url=server.url)
    assert session.get("/").cookies == {"sid": "1", "t": "2"}
    session.get("/", cookies={"mine": "3"})
    session.get("/x", headers={"Cookie": "only=this"})
    session.get("/x")
    fields = [script.field(index, "cookie") for index in range(4)]
    assert fields == [None, "sid=1; mine=3", "only=this", "t=2; sid=1"]
    assert session.session.cookies["sid"] == "1"


def test_cookies_of_a_session(face: MakeFace, raw: MakeRaw) -> None:
    script = Script(lambda target: answer())
    server = raw(script)
    face(base_url=server.url, cookies={"a": "b"}).get("/")
    jar = CookieJar()
    jar.set("c", "d", "127.0.0.1")
    face(cookies=jar).get(server.url)
    assert [script.field(index, "cookie") for index in range(2)] == ["a=b", "c=d"]
    with pytest.raises(InvalidRequest, match="base_url"):
        face(cookies={"a": "b"})


# -- authentication


def test_digest(face: MakeFace, raw: MakeRaw) -> None:
    challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256\r\n'
    script = Script(lambda target: answer("401 No", challenge) if len(script.requests) == 1 else answer(body=b"in"))
    server = raw(script)
    assert face(auth=Digest("u", "p", cnonce=lambda: "c")).get(f"{server.url}/x").content == b"in"
    hashed = [hashlib.sha256(text.encode()).hexdigest() for text in ("u:r:p", "GET:/x")]
    response = hashlib.sha256(f"{hashed[0]}:n:00000001:c:auth:{hashed[1]}".encode()).hexdigest()
    assert f'response="{response}"' in (script.field(1, "authorization") or "")
    assert server.connections == 1


def test_ones_own_auth_is_a_generator(face: MakeFace, raw: MakeRaw) -> None:
    class Twice(Auth):
        def flow(self, request):  # type: ignore[no-untyped-def]
            request.headers["X-Try"] = "1"
            response = yield request
            assert response.status == 401 and response.content == b"no"
            request.headers["X-Try"] = "2"
            yield request

    script = Script(lambda target: answer("401 No", body=b"no") if len(script.requests) == 1 else answer())
    assert face().get(raw(script).url, auth=Twice()).status == 200
    assert [script.field(index, "x-try") for index in range(2)] == ["1", "2"]


def test_the_auth_of_a_session_can_be_left_out(face: MakeFace, raw: MakeRaw) -> None:
    script = Script(lambda target: answer())
    session = face(base_url=raw(script).url, auth=("u", "p"))
    session.get("/")
    session.get("/", auth=None)
    assert script.field(0, "authorization") == "Basic dTpw"
    assert script.field(1, "authorization") is None


# -- retries


def test_an_answer_that_may_pass_is_asked_for_again(face: MakeFace, raw: MakeRaw) -> None:
    script = Script(lambda target: answer("503 Busy") if len(script.requests) < 3 else answer())
    server = raw(script)
    assert face(retries=NOW).get(server.url).status == 200
    assert len(script.requests) == 3 and server.connections == 1
    script.requests.clear()
    assert face(retries=NOW).post(server.url).status == 503
    assert face().get(server.url).status == 503


def test_a_body_that_was_cut_is_asked_for_again(face: MakeFace, raw: MakeRaw) -> None:
    tries = []

    def cut(sock: socket.socket) -> None:
        read_request(sock)
        tries.append(1)
        sock.sendall(answer(body=b"hello")[: -2 if len(tries) == 1 else None])

    assert face().get(raw(cut).url, retries=NOW).content == b"hello"
    assert len(tries) == 2


def test_a_wait_beyond_the_call_is_not_begun(face: MakeFace, raw: MakeRaw) -> None:
    script = Script(lambda target: answer("503 Busy", "Retry-After: 50\r\n"))
    response = face(retries=2, timeout=Timeout(total=10)).get(raw(script).url)
    assert response.status == 503 and len(script.requests) == 1


# -- connections


def closing(times: int) -> Callable[[socket.socket], None]:
    """Answers so many requests of a connection, and closes it without a word at the next."""

    def serve(sock: socket.socket) -> None:
        for _ in range(times):
            read_request(sock)
            sock.sendall(answer(body=b"hello"))
        read_request(sock)

    return serve


def test_a_connection_that_died_is_replaced_where_that_is_safe(face: MakeFace, raw: MakeRaw) -> None:
    server = raw(closing(1))
    session = face(base_url=server.url)
    assert session.get("/").content == session.get("/").content == b"hello"
    assert server.connections == 2
    with pytest.raises(ServerClosed, match="without an answer"):
        session.post("/")  # it may have been carried out


def test_a_connection_that_was_closed_is_not_used_for_a_post(face: MakeFace, raw: MakeRaw) -> None:
    closed = threading.Event()

    def serve(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(answer(body=b"hello"))
        sock.shutdown(socket.SHUT_RDWR)
        closed.set()

    server = raw(serve)
    session = face(base_url=server.url)
    for _ in range(3):
        assert session.post("/").content == b"hello"
        assert closed.wait(5)
        closed.clear()
        session.pause()
    assert server.connections == 3


def test_bytes_that_nobody_asked_for_end_a_connection(face: MakeFace, raw: MakeRaw) -> None:
    server = raw(answer(body=b"hello") + answer(body=b"smuggled"))
    session = face(base_url=server.url)
    assert [session.get("/").content for _ in range(3)] == [b"hello"] * 3
    assert server.connections == 3


@pytest.mark.parametrize("fields", ["Connection: close\r\n", "Connection: x, Close\r\n"])
def test_a_connection_that_is_to_be_closed_is_not_kept(face: MakeFace, raw: MakeRaw, fields: str) -> None:
    session = face(base_url=raw(answer(fields=fields)).url)
    session.get("/")
    assert session.session.pool.open_connections == 0


def test_the_pool_has_an_end(face: MakeFace, raw: MakeRaw) -> None:
    server = raw(answer(body=b"hello"))
    session = face(base_url=server.url, max_connections=1, timeout=Timeout(pool=0.05))
    with session.stream("GET", "/"), pytest.raises(PoolTimeout, match="all 1 connections"):
        # The first response is read to its end only below.
        session.get("/")
    assert session.get("/").content == b"hello"


def test_an_idle_connection_makes_room_for_another_origin(face: MakeFace, raw: MakeRaw) -> None:
    session = face(max_connections=1)
    urls = [raw(answer(body=b"hello")).url for _ in range(2)]
    assert [session.get(url).content for url in urls * 2] == [b"hello"] * 4
    assert session.session.pool.open_connections == 1


def test_idle_connections_are_closed(face: MakeFace, raw: MakeRaw) -> None:
    server = raw(answer())
    session = face(base_url=server.url, idle_timeout=0.0)
    session.get("/")
    session.get("/")
    assert server.connections == 2


def refused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_nobody_listens(face: MakeFace) -> None:
    port = refused_port()
    with pytest.raises(ConnectError, match="refused") as raised:
        face().get(f"http://127.0.0.1:{port}/")
    assert (raised.value.address, raised.value.phase) == (f"127.0.0.1:{port}", "connect")


def test_nobody_accepts(face: MakeFace) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(4):  # until the queue is full
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        with pytest.raises(ConnectTimeout, match=r"within 0.1 s"):
            face(timeout=Timeout(connect=0.1)).get(f"http://127.0.0.1:{port}/")
        for filler in fillers:
            filler.close()


# -- bodies


def test_a_body_is_decoded_or_left_as_it_is(face: MakeFace, raw: MakeRaw) -> None:
    packed = gzip.compress(b"hello" * 1000)
    session = face(base_url=raw(answer(fields="Content-Encoding: gzip\r\n", body=packed)).url)
    assert session.get("/").content == b"hello" * 1000
    with session.stream("GET", "/") as response:
        assert b"".join(session.all(response, "chunks")) == b"hello" * 1000
    with session.stream("GET", "/") as response:
        assert b"".join(session.all(response, "iter_raw")) == packed


def test_trailers(face: MakeFace, raw: MakeRaw) -> None:
    server = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")
    response = face().get(server.url)
    assert response.trailers is not None and response.trailers["x-sum"] == "1"


def test_until_close_and_http_1_0(face: MakeFace, raw: MakeRaw) -> None:
    def serve(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")

    response = face().get(raw(serve).url)
    assert (response.content, response.http_version) == (b"hello", "1.0")


def test_interim_responses_are_passed_over(face: MakeFace, raw: MakeRaw) -> None:
    server = raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(body=b"hello"))
    assert face().get(server.url).content == b"hello"


def expecting(first: bytes, seen: list[bytes]) -> Callable[[socket.socket], None]:
    def serve(sock: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(65536)
        seen.append(head)
        sock.sendall(first)
        if b" 100 " in first:
            seen.append(sock.recv(65536))
            sock.sendall(answer(body=b"taken"))

    return serve


def test_a_body_waits_for_its_100(face: MakeFace, raw: MakeRaw) -> None:
    seen: list[bytes] = []
    server = raw(expecting(b"HTTP/1.1 100 Continue\r\n\r\n", seen))
    assert face().post(server.url, content=b"body", headers={"Expect": "100-continue"}).content == b"taken"
    assert seen[0].endswith(b"\r\n\r\n") and seen[1] == b"body"


def test_a_body_that_is_not_wanted_is_not_sent(face: MakeFace, raw: MakeRaw) -> None:
    seen: list[bytes] = []
    server = raw(expecting(answer("413 Too Large"), seen))
    session = face()
    assert session.post(server.url, content=b"body", headers={"Expect": "100-continue"}).status == 413
    assert seen[0].endswith(b"\r\n\r\n") and len(seen) == 1
    assert session.session.pool.open_connections == 0


def test_an_answer_before_the_body_is_through(face: MakeFace, raw: MakeRaw) -> None:
    def serve(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(answer("413 Too Large", body=b"no"))
        while sock.recv(65536):
            pass

    session = face()
    response = session.post(raw(serve).url, content=(b"x" * 65536 for _ in range(10_000)))
    assert (response.status, response.content) == (413, b"no")
    assert session.session.pool.open_connections == 0


@pytest.mark.parametrize("error", [OSError("the disk is gone"), TimeoutError("the tape is slow"), KeyError("x")])
def test_what_the_source_of_a_body_raises_is_the_callers(face: MakeFace, raw: MakeRaw, error: Exception) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"first"
        raise error

    session = face(base_url=raw(answer()).url)
    with pytest.raises(type(error)) as raised:
        session.post("/", content=pieces())
    assert raised.value is error
    assert session.session.pool.open_connections == 0


def test_a_long_body_keeps_its_connection(face: MakeFace, raw: MakeRaw) -> None:
    server = raw(answer(body=b"hello"))
    session = face(base_url=server.url)
    for content in (b"x" * 300_000, b"y" * 70_000, b"z"):
        assert session.post("/", content=content).content == b"hello"
    assert server.connections == 1


# -- hooks and timings


def test_hooks_see_each_exchange(face: MakeFace, raw: MakeRaw) -> None:
    script = Script(lambda target: answer("302 Found", "Location: /b\r\n") if target == "/" else answer(body=b"end"))
    told: list[str] = []
    wire: list[bytes] = []

    def on_request(request) -> None:  # type: ignore[no-untyped-def]
        request.headers["X-Hook"] = "1"
        told.append(f"{request.method} {request.url.target}")

    hooks = Hooks(
        request=on_request,
        response=lambda response: told.append(str(response.status)),
        error=lambda request, error: told.append(type(error).__name__),
        sent=wire.append,
        received=wire.append,
    )
    session = face(hooks=hooks)
    session.get(raw(script).url)
    assert told == ["GET /", "302", "GET /b", "200"]
    assert script.field(1, "x-hook") == "1"
    assert wire[0] == script.requests[0] and b"".join(wire).endswith(b"end")
    with pytest.raises(ConnectError):
        session.get(f"http://127.0.0.1:{refused_port()}/")
    assert told[-1] == "ConnectError"


def test_what_a_hook_raises_ends_the_call(face: MakeFace, raw: MakeRaw) -> None:
    def refuse(response: ClientResponse) -> None:
        response.raise_for_status()

    session = face(hooks=Hooks(response=refuse))
    with pytest.raises(ClientError, match="404"):
        session.get(raw(answer("404 Not Found", body=b"no")).url)
    assert session.session.pool.open_connections == session.session.pool.idle_connections


def test_timings(face: MakeFace, raw: MakeRaw) -> None:
    session = face(base_url=raw(answer(body=b"hello")).url)
    first, second = session.get("/").timings, session.get("/").timings
    assert None not in (first.resolve, first.connect, first.sent, first.first_byte, first.done)
    assert first.tls is None
    assert (second.resolve, second.connect, second.tls) == (None, None, None)
    assert all(value >= 0 for value in (*first, *second) if value is not None)


# -- server-sent events


def test_events_go_on_over_a_new_connection(face: MakeFace, raw: MakeRaw) -> None:
    kind = "Content-Type: text/event-stream\r\n"
    bodies = [b"retry: 0\n\nid: 1\ndata: a\n\n", b"id: 2\ndata: b\ndata: c\n\n", None]

    def serve(target: str) -> bytes:
        body = bodies[len(script.requests) - 1]
        return answer("204 No Content") if body is None else answer(fields=kind, body=body)

    script = Script(serve)
    session = face(base_url=raw(script).url)
    events = session.events("/", headers={"X-Mine": "1"})
    assert [(event.data, event.id) for event in events] == [("a", "1"), ("b\nc", "2")]
    assert [script.field(index, "last-event-id") for index in range(3)] == [None, "1", "2"]
    assert script.field(2, "x-mine") == "1" and script.field(0, "accept") == "text/event-stream"


def test_what_is_no_event_stream(face: MakeFace, raw: MakeRaw) -> None:
    session = face(base_url=raw(answer(body=b"hello")).url)
    with pytest.raises(BadResponse, match="no event stream"):
        session.events("/")
    assert session.session.pool.open_connections == 0
