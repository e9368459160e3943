"""Plain requests to a real server, over both drivers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from client.support import Face, MakeFace, MakeRaw, read_request
from engine.support import Serve
from firstbyte import App, Request, Response
from firstbyte import client as module
from firstbyte.errors import ClientError, DecodingError, InvalidRequest, StatusError

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@dataclass
class Task:
    title: str
    done: bool = False


def echo_app() -> App:
    app = App()

    @app.get("/echo")
    @app.post("/echo")
    @app.put("/echo")
    @app.patch("/echo")
    @app.delete("/echo")
    def echo(request: Request) -> dict[str, object]:
        return {
            "method": request.method,
            "target": request.target,
            "headers": {name.lower(): value for name, value in request.headers.items()},
            "body": request.body.decode("latin-1"),
        }

    @app.get("/task")
    def task() -> dict[str, object]:
        return {"title": "milk", "done": True}

    @app.get("/stream")
    def stream() -> Iterator[str]:
        yield "one\n"
        yield "two\r\nthr"
        yield "ee"

    @app.get("/latin")
    def latin() -> Response:
        return Response("käse".encode("latin-1"), media_type="text/plain; charset=iso-8859-1")

    @app.get("/status/{status:int}")
    def status(status: int) -> Response:
        return Response("", status)

    return app


@pytest.fixture
def session(serve: Serve, face: MakeFace) -> Face:
    return face(base_url=f"http://127.0.0.1:{serve(echo_app()).server.port}")


def test_a_plain_get(session: Face) -> None:
    response = session.get("/task")
    assert (response.status, response.reason, response.ok, response.http_version) == (200, "OK", True, "1.1")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"title": "milk", "done": True}
    assert response.json(type=Task) == Task("milk", True)
    assert response.content == response.text.encode()
    assert response.url.path == "/task"
    assert response.history == ()
    assert isinstance(response.elapsed, timedelta) and response.elapsed > timedelta(0)
    assert response.raise_for_status() is response


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_methods(session: Face, method: str) -> None:
    assert getattr(session, method.lower())("/echo").json()["method"] == method


def test_head_and_options(session: Face) -> None:
    response = session.head("/task")
    assert response.content == b""
    assert response.headers["content-length"] != "0"
    assert "GET" in session.options("/task").headers["allow"]


def test_what_is_sent_by_default(session: Face) -> None:
    sent = session.get("/echo", params={"q": "a b", "n": [1, 2]}).json()
    assert sent["target"] == "/echo?q=a+b&n=1&n=2"
    assert sent["headers"]["accept"] == "*/*"
    assert sent["headers"]["user-agent"].startswith("firstbyte/")
    assert "gzip" in sent["headers"]["accept-encoding"]
    assert "content-length" not in sent["headers"]
    assert session.post("/echo").json()["headers"]["content-length"] == "0"


def test_headers_of_the_session_and_of_the_call(face: MakeFace, session: Face) -> None:
    base = str(session.session.base_url)
    other = face(base_url=base, headers={"X-A": "1", "X-B": "1"})
    sent = other.get("/echo", headers={"x-b": "2", "User-Agent": None}).json()["headers"]
    assert (sent["x-a"], sent["x-b"]) == ("1", "2")
    assert "user-agent" not in sent


@pytest.mark.parametrize(
    ("options", "content_type", "body"),
    [
        ({"json": {"a": [1, True]}}, "application/json", '{"a":[1,true]}'),
        ({"data": {"a": "b c", "d": 1}}, "application/x-www-form-urlencoded", "a=b+c&d=1"),
        ({"content": b"\x00\xff"}, None, "\x00\xff"),
        ({"content": "text"}, "text/plain; charset=utf-8", "text"),
        ({"content": [b"a", b"", b"bc"]}, None, "abc"),
        ({"content": b"x" * 200_000}, None, "x" * 200_000),
    ],
)
def test_bodies(session: Face, options: dict[str, object], content_type: str | None, body: str) -> None:
    sent = session.post("/echo", **options).json()
    assert sent["headers"].get("content-type") == content_type
    assert sent["body"] == body
    chunked = isinstance(options.get("content"), list)
    assert sent["headers"].get("transfer-encoding") == ("chunked" if chunked else None)
    assert sent["headers"].get("content-length") == (None if chunked else str(len(body)))


def test_files_are_streamed_as_multipart(session: Face, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"A" * 300_000)
    sent = session.post("/echo", data={"x": "1"}, files={"f": tmp_path / "a.txt"}).json()
    assert sent["headers"]["content-type"].startswith("multipart/form-data; boundary=")
    assert 'name="f"; filename="a.txt"' in sent["body"]
    assert "A" * 300_000 in sent["body"]
    assert int(sent["headers"]["content-length"]) == len(sent["body"])


def test_an_async_iterator_is_for_a_loop(session: Face) -> None:
    async def pieces():  # type: ignore[no-untyped-def]
        yield b"a"
        yield b"b"

    if session.is_async:
        assert session.post("/echo", content=pieces()).json()["body"] == "ab"
    else:
        with pytest.raises(InvalidRequest, match="AsyncSession"):
            session.post("/echo", content=pieces())


def test_the_charset_of_the_type(session: Face) -> None:
    assert session.get("/latin").text == "käse"


def test_a_stream(session: Face) -> None:
    with session.stream("GET", "/stream") as response:
        assert b"".join(session.all(response, "chunks")) == b"one\ntwo\r\nthree"
        assert session.all(response, "chunks") == []
    with session.stream("GET", "/stream") as response:
        assert session.all(response, "lines") == ["one", "two", "three"]
    with session.stream("GET", "/stream") as response:
        assert b"".join(session.all(response, "iter_raw")) == b"one\ntwo\r\nthree"
    with session.stream("GET", "/stream") as response:
        assert session.read(response) == b"one\ntwo\r\nthree"
        assert response.text == "one\ntwo\r\nthree"
    assert session.session.pool.open_connections == 1


def test_a_stream_that_is_left_gives_its_slot_back(session: Face) -> None:
    with session.stream("GET", "/stream") as response:
        assert response.status == 200
    assert session.session.pool.open_connections == 0


def test_what_is_sent_again_is_sent_as_it_is_now(face: MakeFace, raw: MakeRaw) -> None:
    """A session remembers what it wrote, by everything that it wrote it of."""
    heads: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        while True:
            heads.append(read_request(sock))
            cookie = b"Set-Cookie: n=%d\r\n" % len(heads)
            sock.sendall(b"HTTP/1.1 200 OK\r\n" + cookie + b"Content-Length: 0\r\n\r\n")

    session = face(base_url=raw(serve).url)
    session.get("/")
    session.get("/")
    session.get("/", headers={"X-Own": "1"})
    session.session.headers["X-All"] = "2"
    session.get("/")
    session.request("DELETE", "/")
    assert [b"Cookie: n=%d\r\n" % number in heads[number] for number in range(1, 5)] == [True] * 4
    assert [b"X-Own: 1" in head for head in heads] == [False, False, True, False, False]
    assert [b"X-All: 2" in head for head in heads] == [False, False, False, True, True]
    assert heads[4].startswith(b"DELETE / ")


def test_what_a_session_remembers_is_bounded(face: MakeFace, raw: MakeRaw) -> None:
    session = face(base_url=raw(b"HTTP/1.1 204 None\r\n\r\n").url)
    session.get("/", headers={"X-Long": "x" * 5000})
    known = session.session._core._sent
    assert not known
    sizes = []
    for number in range(300):
        session.get(f"/{number}")
        sizes.append(len(known))
    assert max(sizes) == 128


def test_connections_are_kept(face: MakeFace, raw: MakeRaw) -> None:
    server = raw(HELLO)
    session = face(base_url=server.url)
    for _ in range(3):
        assert session.get("/").content == b"hello"
    assert server.connections == 1
    assert session.session.pool.idle_connections == 1


def test_a_status_from_400_up_raises_only_when_asked(session: Face) -> None:
    response = session.get("/status/404")
    assert not response.ok
    with pytest.raises(StatusError, match="404 Not Found") as raised:
        response.raise_for_status()
    assert raised.value.response is response


def test_json_that_is_not_as_expected(session: Face) -> None:
    with pytest.raises(DecodingError, match="JSON"):
        session.get("/latin").json()
    with pytest.raises(DecodingError, match="object"):
        session.get("/task").json(type=list)


def test_the_bound_of_what_is_kept(face: MakeFace, raw: MakeRaw) -> None:
    session = face(base_url=raw(HELLO).url, max_body=4)
    with pytest.raises(DecodingError, match="longer than the 4 bytes"):
        session.get("/")
    assert session.session.pool.open_connections == session.session.pool.idle_connections


def test_a_closed_session(session: Face) -> None:
    session.get("/task")
    (session.aclose if session.is_async else session.session.close)()
    assert session.session.pool.open_connections == 0
    with pytest.raises(ClientError, match="closed"):
        session.get("/task")


@pytest.mark.parametrize(
    ("method", "url", "options", "message"),
    [
        ("GET", "/a", {}, "not absolute"),
        ("GET", "ftp://x/", {}, "scheme ftp"),
        ("GET", "http://x/a b", {}, "' '"),
        ("GET", "http://x/\r\nA: b", {}, r"'\\r'"),
        ("GET", "http://a@b@c/", {}, "two @"),
        ("GE T", "http://x/", {}, "method"),
        ("GET\r\nA: b", "http://x/", {}, "method"),
        ("GET", "http://x/", {"headers": {"A": "b\r\nC: d"}}, "control character"),
        ("GET", "http://x/", {"headers": {"A\r\nB": "c"}}, "not a token"),
        ("GET", "http://x/", {"headers": {"A": "b\nC"}}, "control character"),
        ("GET", "http://x/", {"headers": {"A": "\u2028"}}, "outside Latin-1"),
        ("GET", "http://x/", {"headers": {"A": 1}}, "must be str"),
        ("GET", "http://x/", {"headers": {"Transfer-Encoding": "chunked"}}, "Transfer-Encoding"),
        ("POST", "http://x/", {"headers": {"Content-Length": "3"}, "content": b"ab"}, "Content-Length"),
        ("POST", "http://x/", {"json": 1, "data": {"a": 1}}, "one body"),
        ("POST", "http://x/", {"json": object()}, "json"),
        ("GET", "http://x/", {"timeout": -1}, "above zero"),
    ],
)
def test_what_cannot_be_sent_is_refused(
    face: MakeFace, method: str, url: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message) as raised:
        face().request(method, url, **options)
    assert isinstance(raised.value, ValueError)


def test_the_functions_of_the_module(raw: MakeRaw) -> None:
    server = raw(HELLO)
    for call in (module.get, module.post, module.put, module.patch, module.delete, module.options):
        assert call(server.url).text == "hello"
    with module.stream("GET", server.url) as response:
        assert list(response.chunks()) == [b"hello"]
    head = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    assert module.head(head.url).headers["content-length"] == "5"
