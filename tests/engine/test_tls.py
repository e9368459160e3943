"""TLS by a real client and a real server."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from engine.certificates import authority_file, client_context, pair
from engine.support import WAIT, Client, Running, Serve
from firstbyte import App, Request
from firstbyte.engine.tls import TLS
from firstbyte.errors import ConfigurationError


class TLSClient(Client):
    """A client whose connection is encrypted."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None, name: str = "localhost") -> None:
        super().__init__(port)
        self.sock: Any = (context or client_context()).wrap_socket(self.sock, server_hostname=name)


@pytest.fixture(params=["auto", "asyncio"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(tmp_path: Path) -> App:
    app = App()
    (tmp_path / "large").write_bytes(bytes(range(256)) * 20_000)

    @app.get("/")
    def hello(request: Request) -> str:
        return f"{request.scheme} {request.url.scheme}"

    @app.get("/large")
    def large() -> bytes:
        return bytes(range(256)) * 20_000

    @app.get("/file")
    def file() -> Path:
        return tmp_path / "large"

    @app.get("/stream")
    def stream() -> Iterator[bytes]:
        for number in range(256):
            yield bytes([number]) * 20_000

    @app.post("/length")
    def length(request: Request) -> str:
        return str(len(request.body))

    @app.route("/streamed", ["POST"], streams_body=True)
    def streamed(request: Request) -> str:
        return str(sum(map(len, request.stream())))

    @app.get("/who")
    def who(request: Request) -> str:
        return request.tls.certificate.subject if request.tls.certificate else f"nobody {request.tls.version}"

    return app


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return pair(tmp_path, "localhost")


Start = Callable[..., Running]


@pytest.fixture
def start(serve: Serve, app: App, certificate: tuple[Path, Path]) -> Start:
    return lambda **options: serve(app, tls=TLS(*certificate, **options.pop("settings", {})), **options)


def connect(running: Running, *arguments: Any) -> TLSClient:
    client = TLSClient(running.server.port, *arguments)
    running.clients.append(client)
    return client


def test_requests_over_tls(start: Start) -> None:
    client = connect(start())
    assert client.sock.version() in ("TLSv1.2", "TLSv1.3")
    assert client.sock.selected_alpn_protocol() is None
    for _ in range(20):
        assert client.get().read()[2] == b"https https"
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
    assert [client.read()[2] for _ in range(200)] == [b"https https"] * 200


@pytest.mark.parametrize("path", ["/large", "/file", "/stream"])
def test_large_answers(start: Start, path: str) -> None:
    client = connect(start()).get(path)
    body = client.read()[2]
    assert len(body) == 256 * 20_000
    assert body[:3] == (b"\0\0\0" if path == "/stream" else b"\0\1\2")
    assert client.get().read()[0] == 200


def test_large_answers_to_pipelined_requests(start: Start) -> None:
    client = connect(start()).send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    assert [len(client.read()[2]) for _ in range(3)] == [256 * 20_000] * 3


@pytest.mark.parametrize("path", ["/length", "/streamed"])
def test_large_bodies(start: Start, path: str) -> None:
    client = connect(start())
    client.send(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" % path.encode())
    client.send(b"x" * 3_000_000)
    assert client.read()[2] == b"3000000"


def test_the_end_is_told(start: Start) -> None:
    """Without a close_notify the client could not tell the end from a cut: ssl would raise here."""
    client = connect(start()).get(fields="Connection: close\r\n")
    assert client.rest().endswith(b"https https")


def test_plain_http_is_told_where_it_is(start: Start) -> None:
    running = start()
    client = running.client().get()
    status, _, body = client.read()
    assert (status, b"https://" in body) == (400, True)
    assert client.closed()
    assert running.recorder.wait_for("rejected")[0][1].rule == "plain-on-tls-port"


@pytest.mark.parametrize(
    "data",
    [b"\x16\x03\x01\x00\x05hello", b"\0" * 100, b"\x80\x2e\x01\x03\x01" + b"\0" * 100],
    ids=["tls", "nul", "ssl2"],
)
def test_what_is_no_handshake_is_closed(start: Start, data: bytes) -> None:
    running = start()
    client = running.client().send(data)
    assert running.recorder.wait_for("rejected")[0][1].rule == "tls-handshake"
    with contextlib.suppress(ConnectionResetError):  # what the server did not read is refused by the kernel
        assert b"HTTP" not in client.rest()
    assert connect(running).get().read()[0] == 200


def test_a_handshake_that_does_not_end_is_ended_and_holds_nobody_up(start: Start) -> None:
    running = start(head_timeout=0.2)
    silent, partial = running.client(), running.client().send(b"\x16\x03\x01")
    assert connect(running).get().read()[0] == 200
    assert silent.closed()
    assert partial.closed()


def test_a_handshake_in_single_bytes(start: Start) -> None:
    """Through a relay that sends one byte at a time."""
    running = start()
    there, here = socket.socketpair()
    server = socket.create_connection(("127.0.0.1", running.server.port), timeout=WAIT)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def relay(source: socket.socket, target: socket.socket, size: int) -> None:
        with contextlib.suppress(OSError):  # the other end is closed: the test is over
            while data := source.recv(size):
                target.sendall(data)

    for arguments in ((here, server, 1), (server, here, 65536)):
        threading.Thread(target=relay, args=arguments, daemon=True).start()
    client = client_context().wrap_socket(there, server_hostname="localhost")
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = b""
    while not answer.endswith(b"https https"):
        answer += client.recv(65536)
    client.close()
    here.close()
    server.close()


def test_a_client_that_cuts_the_connection_harms_nobody(start: Start) -> None:
    running = start()
    client = connect(running).get("/large")
    client.sock.close()
    assert connect(running).get().read()[0] == 200


# -- whose certificate


def test_a_client_certificate_is_on_the_request(start: Start, tmp_path: Path) -> None:
    running = start(settings={"ca": authority_file(tmp_path), "client_certificates": "optional"})
    context = client_context()
    assert connect(running, context).get("/who").read()[2].startswith(b"nobody TLSv1.")
    context.load_cert_chain(*pair(tmp_path, "someone@example.org", common_name="Someone"))
    assert b"CN=Someone" in connect(running, context).get("/who").read()[2]


def test_a_required_certificate_that_does_not_come(start: Start, tmp_path: Path) -> None:
    running = start(settings={"ca": authority_file(tmp_path), "client_certificates": "required"})
    with pytest.raises((ssl.SSLError, ConnectionError)):  # TLS 1.3 tells it at the first read
        connect(running).get("/who").more()
    assert running.recorder.wait_for("rejected")[0][1].rule == "tls-handshake"


def test_changed_certificates_are_used_without_a_restart(
    start: Start, certificate: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstbyte.engine.entrance.LOOK", 0.0)
    running = start()
    other = trustme.CA()
    old = connect(running)
    pair(tmp_path, "localhost", authority=other)
    assert connect(running, client_context(other)).get().read()[0] == 200
    assert old.get().read()[0] == 200
    certificate[0].write_text("no certificate")
    assert connect(running, client_context(other)).get().read()[0] == 200


def test_certificates_that_cannot_be_used_stop_the_start(start: Start, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read the certificate file"):
        start(settings={"extra": ((tmp_path / "none.pem", None),)})


def test_coroutines_over_tls(start: Start, app: App) -> None:
    @app.get("/ticks")
    async def ticks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"tick" * 5000

    @app.route("/echo", ["POST"], streams_body=True)
    async def echo(request: Request) -> AsyncIterator[bytes]:
        async for piece in request.stream():
            yield piece

    client = connect(start())
    assert len(client.get("/ticks").read()[2]) == 100 * 20_000
    client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"y" * 100_000)
    assert client.read()[2] == b"y" * 100_000
