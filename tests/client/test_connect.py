"""How connections come about: TLS, Unix sockets, proxies, and the race of addresses."""

from __future__ import annotations

import errno
import select
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

import pytest

from client.support import WAIT, Face, MakeFace, MakeRaw, read_request
from engine.certificates import AUTHORITY, authority_file, client_context, pair
from engine.support import Serve
from firstbyte import App, Request
from firstbyte.client import Timeout, get, stream
from firstbyte.client.connect import interleaved, race
from firstbyte.client.network import SockAddr, SyncNetwork, run
from firstbyte.client.tls import make_context
from firstbyte.engine.tls import TLS
from firstbyte.errors import (
    ConnectError,
    ConnectTimeout,
    InvalidRequest,
    ProxyError,
    ResolveError,
    ServerClosed,
    TLSError,
    TooManyRedirects,
)
from firstbyte.websocket import SyncWebSocket

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def hello_app() -> App:
    app = App()

    @app.get("/")
    def hello(request: Request) -> dict[str, str | None]:
        return {"scheme": request.scheme, "host": request.headers.get("host")}

    @app.get("/large")
    def large() -> bytes:
        return bytes(range(256)) * 20_000

    return app


# -- TLS


@pytest.fixture
def tls_url(serve: Serve, tmp_path: Path) -> str:
    cert, key = pair(tmp_path, "localhost")
    return f"https://localhost:{serve(hello_app(), tls=TLS(cert, key)).server.port}"


def test_a_request_over_tls(tls_url: str, face: MakeFace, tmp_path: Path) -> None:
    session = face(base_url=tls_url, verify=authority_file(tmp_path))
    response = session.get("/")
    assert response.json()["scheme"] == "https"
    assert response.timings.tls is not None
    assert session.get("/large").content == bytes(range(256)) * 20_000
    assert session.get("/").timings.tls is None  # the connection was kept
    assert session.session.pool.open_connections == 1


def test_whom_to_trust(tls_url: str, face: MakeFace) -> None:
    assert face(verify=False).get(tls_url).ok
    assert face(verify=client_context()).get(tls_url).ok
    with pytest.raises(TLSError, match="not trusted") as raised:
        face().get(tls_url)
    assert raised.value.phase == "tls"
    assert raised.value.address == tls_url.removeprefix("https://")


def test_a_certificate_of_another_host(face: MakeFace, serve: Serve, tmp_path: Path) -> None:
    cert, key = pair(tmp_path, "other.example")
    server = serve(hello_app(), tls=TLS(cert, key))
    with pytest.raises(TLSError, match="not trusted"):
        face(verify=authority_file(tmp_path)).get(f"https://localhost:{server.server.port}")


def test_a_server_that_speaks_no_tls(face: MakeFace, raw: MakeRaw) -> None:
    def serve(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(TLSError, match="handshake"):
        face().get(raw(serve).url.replace("http:", "https:"))


def test_a_handshake_that_does_not_end(face: MakeFace, raw: MakeRaw) -> None:
    def serve(sock: socket.socket) -> None:
        while sock.recv(1000):
            pass

    with pytest.raises(ConnectTimeout) as raised:
        face(timeout=Timeout(connect=0.2)).get(raw(serve).url.replace("http:", "https:"))
    assert raised.value.phase == "tls"


def tls_server(tmp_path: Path, after: bytes, unwrap: bool, **options: object) -> Callable[[socket.socket], None]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    if options.get("client_certificate"):
        AUTHORITY.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED

    def serve(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            read_request(tls)
            tls.sendall(after)
            if unwrap:
                tls.unwrap()

    return serve


def test_the_certificate_of_the_client(face: MakeFace, raw: MakeRaw, tmp_path: Path) -> None:
    url = raw(tls_server(tmp_path, HELLO, True, client_certificate=True)).url.replace("http:", "https:")
    trust = authority_file(tmp_path)
    assert face(verify=trust, cert=pair(tmp_path, "client.example")).get(url).content == b"hello"


def test_an_end_that_anyone_could_have_made(face: MakeFace, raw: MakeRaw, tmp_path: Path) -> None:
    until_close = b"HTTP/1.1 200 OK\r\n\r\nhello"
    trust = authority_file(tmp_path)
    good, bad = (
        raw(tls_server(tmp_path, until_close, unwrap)).url.replace("http:", "https:") for unwrap in (True, False)
    )
    assert face(verify=trust).get(good).content == b"hello"
    with pytest.raises(ServerClosed, match="without the close of TLS"):
        face(verify=trust).get(bad)


def test_contexts_are_made_once(tmp_path: Path) -> None:
    trust = authority_file(tmp_path)
    assert make_context() is make_context()
    assert make_context(trust) is make_context(trust) is not make_context()
    with pytest.raises(InvalidRequest, match="nowhere"):
        make_context("nowhere.pem")


def test_https_is_never_lowered_silently(face: MakeFace, raw: MakeRaw, tmp_path: Path) -> None:
    plain = raw(HELLO).url
    redirect = f"HTTP/1.1 302 Found\r\nLocation: {plain}/\r\nContent-Length: 0\r\n\r\n".encode()
    url = raw(tls_server(tmp_path, redirect, True)).url.replace("http:", "https:")
    trust = authority_file(tmp_path)
    with pytest.raises(TooManyRedirects):
        face(verify=trust).get(url)
    assert face(verify=trust, allow_downgrade=True).get(url).content == b"hello"


# -- Unix sockets


def test_unix_sockets(face: MakeFace, raw: MakeRaw, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    seen: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        while True:
            seen.append(read_request(sock))
            sock.sendall(HELLO)

    raw(serve, family=socket.AF_UNIX, address=path)
    assert face(uds=path).get("http://app.example/x").content == b"hello"
    assert face().get(f"http+unix://{quote(path, safe='')}/y?z").content == b"hello"
    assert b"GET /x HTTP/1.1\r\nHost: app.example\r\n" in seen[0]
    assert b"GET /y?z HTTP/1.1\r\nHost: localhost\r\n" in seen[1]


def test_no_unix_socket(face: MakeFace, tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match="No such file") as raised:
        face(uds=tmp_path / "none").get("http://x/")
    assert raised.value.address == str(tmp_path / "none")


# -- names


def test_a_host_without_an_address(face: MakeFace) -> None:
    with pytest.raises(ResolveError) as raised:
        face().get("http://host.invalid/")
    assert (raised.value.address, raised.value.phase) == ("host.invalid", "resolve")


# -- proxies


class Proxy:
    """Speaks HTTP, SOCKS 5 or SOCKS 4a, tunnels, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, sock: socket.socket) -> None:
        first = sock.recv(1, socket.MSG_PEEK)
        if first == b"\x05":
            greeting = sock.recv(100)
            sock.sendall(b"\x05\x02" if b"\x02" in greeting[2:] else b"\x05\x00")
            if b"\x02" in greeting[2:]:
                self.asked.append(sock.recv(600))
                sock.sendall(b"\x01\x00")
            request = sock.recv(600)
            self.asked.append(request)
            sock.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
            port = int.from_bytes(request[-2:], "big")
        elif first == b"\x04":
            request = sock.recv(600)
            self.asked.append(request)
            sock.sendall(b"\x00\x5a\x00\x00\x00\x00\x00\x00")
            port = int.from_bytes(request[2:4], "big")
        else:
            request = read_request(sock)
            self.asked.append(request)
            if not request.startswith(b"CONNECT "):
                while True:
                    sock.sendall(HELLO)
                    self.asked.append(read_request(sock))
            port = int(request.split(b" ")[1].rpartition(b":")[2])
            sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port), WAIT) as far:
            _pump(sock, far)


def _pump(one: socket.socket, other: socket.socket) -> None:
    poll = select.poll()
    ends = {one.fileno(): (one, other), other.fileno(): (other, one)}
    for descriptor in ends:
        poll.register(descriptor, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll(WAIT * 1000):
            source, sink = ends[descriptor]
            data = source.recv(65536)
            if not data:
                return
            sink.sendall(data)


def test_a_proxy_is_sent_plain_requests_whole(face: MakeFace, raw: MakeRaw) -> None:
    proxy = Proxy()
    server = raw(proxy)
    session = face(proxy=server.url.replace("//", "//u:p@"))
    for host in ("a.example", "b.example"):
        assert session.get(f"http://{host}/x?y").content == b"hello"
    assert proxy.asked[0].startswith(b"GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\n")
    assert b"Proxy-Authorization: Basic dTpw\r\n" in proxy.asked[0]
    assert server.connections == 1


def test_a_request_without_a_session_takes_how_to_connect(raw: MakeRaw) -> None:
    proxy = Proxy()
    address = raw(proxy).url
    assert get("http://a.example/", proxy=address).status
    with stream("GET", "http://a.example/", proxy=address) as response:
        assert response.status
    assert [asked.split(b"\r\n")[0] for asked in proxy.asked] == [b"GET http://a.example/ HTTP/1.1"] * 2


@pytest.mark.parametrize(
    ("name", "told"),
    [("timout", "has no option timout; it takes auth, content"), ("proxy", "proxy is for the Session")],
)
def test_an_option_that_there_is_not_is_an_error(face: MakeFace, name: str, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        face().get("http://a.example/", **{name: "http://b.example"})


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h", "socks4a"])
def test_tls_goes_through_a_tunnel(tls_url: str, face: MakeFace, raw: MakeRaw, tmp_path: Path, scheme: str) -> None:
    proxy = Proxy()
    server = raw(proxy)
    user = "u:p@" if scheme.startswith("socks5") else ""
    session = face(base_url=tls_url, verify=authority_file(tmp_path), proxy=f"{scheme}://{user}127.0.0.1:{server.port}")
    assert [session.get("/").json()["scheme"] for _ in range(2)] == ["https", "https"]
    assert server.connections == 1
    if scheme == "http":
        assert proxy.asked[0].startswith(b"CONNECT localhost:")
    if scheme == "socks5h":
        assert b"localhost" in proxy.asked[-1]


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_websocket_goes_through_a_tunnel(face: MakeFace, raw: MakeRaw, serve: Serve, scheme: str) -> None:
    app = hello_app()

    @app.websocket("/ws")
    def hello(ws: SyncWebSocket) -> None:
        ws.send("hello")

    proxy = Proxy()
    url = f"ws://127.0.0.1:{serve(app).server.port}/ws"
    user = "u:p@" if scheme.startswith("socks5") else ""
    with face(proxy=f"{scheme}://{user}127.0.0.1:{raw(proxy).port}").websocket(url) as ws:
        assert ws.receive() == "hello"
    assert proxy.asked[0].startswith(b"CONNECT 127.0.0.1:" if scheme == "http" else b"\x01\x01u\x01p")


def test_a_proxy_that_is_reached_by_tls(tls_url: str, face: MakeFace, raw: MakeRaw, tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    proxy = Proxy()

    def serve(sock: socket.socket) -> None:
        # TLS within TLS: the tunnel's own is taken off by a pair of sockets, so that the proxy needs to know nothing.
        near, far = socket.socketpair()
        tls = context.wrap_socket(sock, server_side=True)
        thread = threading.Thread(target=_quietly, args=(proxy, far))
        thread.start()
        try:
            _pump(tls, near)
        finally:
            tls.close()
            near.close()
            thread.join(WAIT)
            far.close()

    server = raw(serve)
    session = face(base_url=tls_url, verify=authority_file(tmp_path), proxy=f"https://127.0.0.1:{server.port}")
    assert session.get("/").json()["scheme"] == "https"
    assert proxy.asked[0].startswith(b"CONNECT localhost:")


def _quietly(serve: Callable[[socket.socket], None], sock: socket.socket) -> None:
    try:
        serve(sock)
    except (OSError, EOFError):
        pass


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        (b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n", 407, "407 Who"),
        (b"HTTP/1.1 502 Bad\r\n\r\n", 502, "502 Bad"),
        (b"nonsense\r\n\r\n", None, "breaks a rule"),
        (b"", None, "closed"),
    ],
)
def test_a_proxy_that_refuses(face: MakeFace, raw: MakeRaw, answer: bytes, status: int | None, message: str) -> None:
    def serve(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(answer)

    session = face(proxy=raw(serve).url)
    with pytest.raises(ProxyError, match=message) as raised:
        session.get("https://x.example/")
    assert (raised.value.status, raised.value.phase) == (status, "proxy")
    assert session.session.pool.open_connections == 0


def test_a_proxy_that_is_not_there(face: MakeFace) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with pytest.raises(ProxyError, match=f"refused to the proxy http://127.0.0.1:{port}"):
        face(proxy=f"127.0.0.1:{port}").get("http://x.example/")


def test_the_environment_names_a_proxy(face: MakeFace, raw: MakeRaw, monkeypatch: pytest.MonkeyPatch) -> None:
    direct, proxy = raw(HELLO), Proxy()
    monkeypatch.setenv("http_proxy", raw(proxy).url)
    assert face().get("http://a.example/").content == b"hello"
    assert face(trust_env=False).get(direct.url).content == b"hello"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert face().get(direct.url).content == b"hello"
    assert len(proxy.asked) == 1


# -- the race


class Wires(SyncNetwork):
    """Sockets whose connects end as told: addresses to the seconds, None for never, and an error."""

    def __init__(self, ends: dict[str, tuple[float | None, int]], monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.begun: list[tuple[float, str]] = []
        wires = self

        class Sock:
            def __init__(self, family: int, kind: int) -> None:
                self.closed = False

            def setblocking(self, blocking: bool) -> None: ...

            def setsockopt(self, *args: int) -> None: ...

            def connect_ex(self, address: tuple[str, int]) -> int:
                wires.begun.append((wires.now, address[0]))
                after, self.error = ends[address[0]]
                self.host, self.at = address[0], None if after is None else wires.now + after
                return errno.EINPROGRESS

            def getsockopt(self, *args: int) -> int:
                return self.error

            def close(self) -> None:
                self.closed = True

        self.made: list[Sock] = []

        def make(family: int, kind: int) -> Sock:
            self.made.append(Sock(family, kind))
            return self.made[-1]

        monkeypatch.setattr("firstbyte.client.connect.socket.socket", make)

    async def wait_connected(self, socks: Sequence[socket.socket], timeout: float | None) -> list[socket.socket]:
        ends = [sock.at for sock in socks if sock.at is not None]  # type: ignore[attr-defined]
        until = None if timeout is None else self.now + timeout
        if not ends or (until is not None and min(ends) > until):
            assert until is not None, "it would wait for ever"
            self.now = until
            return []
        self.now = min(ends)
        return [sock for sock in socks if sock.at == self.now]  # type: ignore[attr-defined]


def addresses(*hosts: str) -> list[SockAddr]:
    return [SockAddr(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, 80)) for host in hosts]


@pytest.mark.parametrize(
    ("ends", "winner", "begun"),
    [
        ({"a": (0.1, 0), "b": (0.0, 0)}, "a", [(0.0, "a")]),
        ({"a": (None, 0), "b": (0.1, 0)}, "b", [(0.0, "a"), (0.25, "b")]),
        ({"a": (0.3, 0), "b": (0.2, 0)}, "a", [(0.0, "a"), (0.25, "b")]),
        ({"a": (0.01, errno.ECONNREFUSED), "b": (0.1, 0)}, "b", [(0.0, "a"), (0.01, "b")]),
        ({"a": (None, 0), "b": (None, 0), "c": (0.1, 0)}, "c", [(0.0, "a"), (0.25, "b"), (0.5, "c")]),
    ],
)
def test_each_address_has_a_head_start(
    monkeypatch: pytest.MonkeyPatch,
    ends: dict[str, tuple[float | None, int]],
    winner: str,
    begun: list[tuple[float, str]],
) -> None:
    wires = Wires(ends, monkeypatch)
    sock = run(race(wires, addresses(*ends), lambda wait: wait))
    assert sock.host == winner  # type: ignore[attr-defined]
    assert wires.begun == begun
    assert [made.host for made in wires.made if not made.closed] == [winner]


def test_when_every_address_fails_the_last_error_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: dict[str, tuple[float | None, int]] = {"a": (0.1, errno.ECONNREFUSED), "b": (0.1, errno.EHOSTUNREACH)}
    wires = Wires(ends, monkeypatch)
    with pytest.raises(OSError, match="No route"):
        run(race(wires, addresses("a", "b"), lambda wait: wait))
    assert all(made.closed for made in wires.made)


def test_families_take_turns() -> None:
    order = interleaved(addresses("a::", "b::", "c::", "d", "e"))
    assert [address.address[0] for address in order] == ["a::", "d", "b::", "e", "c::"]
    assert interleaved([]) == []


def test_a_dead_address_does_not_delay_a_live_one(
    face: MakeFace, raw: MakeRaw, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = raw(HELLO)
    dead = socket.socket()
    dead.bind(("127.0.0.1", 0))
    found = [SockAddr(socket.AF_INET, dead.getsockname()), SockAddr(socket.AF_INET, ("127.0.0.1", server.port))]
    session: Face = face()

    async def resolve(*args: object) -> list[SockAddr]:
        return found

    monkeypatch.setattr(session.session._network, "resolve", resolve)
    assert session.get("http://two.example/").content == b"hello"
    dead.close()
