"""Live reload: what is put into pages, and what they are told."""

from __future__ import annotations

import asyncio
import gzip
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.support import Client, Running, Serve
from files.support import app_of
from firstbyte import App, Request, Response
from firstbyte.errors import ConfigurationError
from firstbyte.files.live import Changes, Live
from firstbyte.files.static import StaticFiles
from firstbyte.http.response import FileBody

TAG = re.compile(rb'<script src="(.*)/\.firstbyte/live\.js" data-since="([0-9.]+)"></script>\n\Z')
PAGE = b"<!doctype html><title>A</title><p>page"
closed: list[str] = []


class Pieces:
    """A body in pieces that says when it is closed."""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __init__(self) -> None:
        self._pieces = iter((PAGE[:10], PAGE[10:]))

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        closed.append("pieces")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_bytes(PAGE)
    (site / "big.html").write_bytes(PAGE + b"x" * 100_000)
    (site / "style.css").write_text("body { color: black }")
    return site


@pytest.fixture
def app(site: Path) -> App:
    app = App()

    @app.get("/pieces")
    def pieces() -> Response:
        return Response(Pieces(), media_type="text/html")

    @app.get("/file")
    def file() -> Response:
        opened = (site / "big.html").open("rb")
        return Response(FileBody(opened, 0, (site / "big.html").stat().st_size), media_type="text/html")

    @app.get("/sized")
    def sized() -> Response:
        return Response(iter((PAGE,)), headers={"Content-Length": str(len(PAGE))}, media_type="text/html")

    @app.get("/async")
    async def awaited() -> AsyncIterator[str]:
        yield PAGE.decode()

    @app.get("/zipped")
    def zipped() -> Response:
        return Response(gzip.compress(PAGE), 200, {"Content-Encoding": "gzip"}, "text/html")

    @app.get("/data")
    def data() -> dict[str, int]:
        return {"a": 1}

    @app.get("/encoding")
    def encoding(request: Request) -> str:
        return f"{request.headers.get('accept-encoding')} {dict(request.raw_headers).get(b'accept-encoding')!r}"

    @app.post("/post")
    def post() -> str:
        return "posted"

    app.mount("/", StaticFiles(site))
    return app


def ask(live: Live, method: str, path: str, **fields: str) -> Response:
    given = {"Accept": "text/html", **{name.replace("_", "-"): value for name, value in fields.items()}}
    request = Request.build(method, path, given)
    answer = live.resolve(request).call(request)
    return answer if isinstance(answer, Response) else asyncio.run(answer)


def body_of(response: Response) -> bytes:
    body: Any = response.body
    if isinstance(body, bytes):
        return body
    if isinstance(body, FileBody):
        part = body.read(body.count)
        body.close()
        return part
    if hasattr(body, "__anext__"):

        async def collect() -> bytes:
            return b"".join([piece async for piece in body])

        return asyncio.run(collect())
    whole = b"".join(body)
    body.close()
    return whole


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/", PAGE),
        ("/big.html", PAGE + b"x" * 100_000),
        ("/file", PAGE + b"x" * 100_000),
        ("/pieces", PAGE),
        ("/sized", PAGE),
        ("/async", PAGE),
    ],
)
def test_pages_end_with_the_script(app: App, site: Path, path: str, page: bytes) -> None:
    response = ask(Live(app, site), "GET", path, Sec_Fetch_Dest="document")
    whole = body_of(response)
    match = TAG.search(whole)
    assert match is not None
    assert (whole[: match.start()], match[1]) == (page, b"")
    assert int(response.headers.get("content-length", len(whole))) == len(whole)  # type: ignore[arg-type]
    assert response.headers["cache-control"] == "no-store"
    assert not {"etag", "last-modified"} & set(response.headers)


def test_a_page_of_an_error_has_it_too(app: App, site: Path) -> None:
    response = ask(Live(app, site), "GET", "/missing")
    assert response.status == 404
    assert TAG.search(body_of(response))


def test_nothing_on_the_disk_changes(app: App, site: Path) -> None:
    ask(Live(app, site), "GET", "/")
    assert (site / "index.html").read_bytes() == PAGE


def test_what_bodies_are_made_of_is_closed(app: App, site: Path) -> None:
    closed.clear()
    ask(Live(app, site), "GET", "/pieces").close()  # of which nothing was read
    assert closed == ["pieces"]
    big = ask(Live(app, site), "GET", "/file")
    big.close()
    with pytest.raises(ValueError, match="closed file"):
        body_of(big)


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("GET", "/style.css", {}),
        ("GET", "/data", {}),
        ("GET", "/zipped", {}),
        ("POST", "/post", {}),
        ("GET", "/", {"Sec_Fetch_Dest": "empty"}),
        ("GET", "/big.html", {"Range": "bytes=0-5", "Accept": "*/*"}),
    ],
)
def test_nothing_else_has_it(app: App, site: Path, method: str, path: str, fields: dict[str, str]) -> None:
    response = ask(Live(app, site), method, path, **fields)
    assert TAG.search(body_of(response)) is None
    assert method == "POST" or response.headers["cache-control"] == "no-cache"


def test_a_page_in_a_sandbox_could_not_listen(site: Path) -> None:
    response = ask(Live(app_of(site), site), "GET", "/big.html")
    assert "sandbox" in response.headers["content-security-policy"]
    assert TAG.search(body_of(response)) is None
    response.close()


def test_what_is_no_page_is_validated(app: App, site: Path) -> None:
    live = Live(app, site)
    etag = ask(live, "GET", "/style.css").headers["etag"]
    assert ask(live, "GET", "/style.css", If_None_Match=etag, Accept="text/css").status == 304


def test_a_page_is_always_whole(app: App, site: Path) -> None:
    etag = ask(Live(app, site), "GET", "/", Sec_Fetch_Dest="empty").headers["etag"]
    response = ask(Live(app, site), "GET", "/", If_None_Match=etag, Range="bytes=0-3")
    assert response.status == 200
    assert ask(Live(app, site), "GET", "/encoding", Accept_Encoding="gzip").body[:9] == b"None None"  # type: ignore[index]


@pytest.mark.parametrize("path", ["/", "/big.html", "/sized"])
def test_head_has_the_length_of_get(app: App, site: Path, serve: Serve, path: str) -> None:
    client = serve(Live(app, site)).client()
    fields = "Accept: text/html\r\n"
    _, head, _ = client.send(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode()).read(head_only=True)
    _, get, body = client.get(path, fields).read()
    length = int(get["content-length"])
    assert length == len(body)
    assert abs(int(head["content-length"]) - length) < 10  # the time in it may be some digits shorter


def test_mounted(app: App, site: Path) -> None:
    outer = App()
    outer.mount("/below", Live(app, site))
    request = Request.build("GET", "/below/", {"Accept": "text/html"})
    match = TAG.search(body_of(outer.resolve(request).call(request)))
    assert match is not None
    assert match[1] == b"/below"
    request = Request.build("GET", "/below/.firstbyte/live.js")
    response = outer.resolve(request).call(request)
    assert response.content_type == "text/javascript; charset=utf-8"


def test_what_has_changed_since() -> None:
    changes = Changes()
    begun, _ = changes.since(0)
    assert changes.since(begun) == (begun, [])
    changes.add(["a.css"])
    first, names = changes.since(begun)
    assert names == ["a.css"]
    changes.add(["b.css", "a.css"])
    last, names = changes.since(first)
    assert names == ["a.css", "b.css"]
    assert changes.since(last) == (last, [])
    assert changes.since(begun - 1) == (last, [])  # which names those were is not known
    for number in range(300):
        changes.add([str(number)])
    assert changes.since(first)[1] == []
    assert changes.since(first)[0] > first


class Listener:
    """What a page listens to."""

    def __init__(self, client: Client, since: float = 1e12) -> None:
        self.client = client.send(f"GET /.firstbyte/live?since={since} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self._text()

    def _text(self) -> str:
        while b"\n\n" not in self.client.buffer:
            assert self.client.more(), "the events have ended"
        text, _, self.client.buffer = self.client.buffer.partition(b"\n\n")
        return text.decode()

    def next(self) -> tuple[float, list[str]]:
        while not (match := re.search(r"id: ([0-9.]+)\ndata: (.*)", self._text())):
            pass
        return float(match[1]), msgspec.json.decode(match[2], type=list[str])


@pytest.fixture
def running(app: App, site: Path, serve: Serve) -> Running:
    return serve(Live(app, site))


def change(listener: Listener, path: Path, text: str) -> list[str]:
    """The names that a change is told with; written until that is seen, since the watcher may not have begun."""
    listener.client.sock.settimeout(0.5)
    while True:
        path.write_text(text)
        try:
            return listener.next()[1]
        except TimeoutError:
            continue


def test_events(running: Running, site: Path) -> None:
    listener = Listener(running.client(), since=0)
    at, names = listener.next()
    assert names == []  # it may have missed everything
    assert change(listener, site / "style.css", "new") == ["style.css"]
    again = Listener(running.client(), since=at)
    _, names = again.next()
    assert names == ["style.css"]
    for each in (site / ".hidden.css", site / "module.py", site / "node_modules" / "a.css"):
        each.parent.mkdir(exist_ok=True)
        each.write_text("ignored")
    other = site / "other.css"
    told = change(again, other, "new")
    while "other.css" not in told:
        told = again.next()[1]
    assert set(told) <= {"style.css", "other.css", "node_modules"}


def test_a_stop_ends_the_events(running: Running) -> None:
    listener = Listener(running.client())
    running.server.stop()
    assert listener.client.rest().endswith(b"0\r\n\r\n")


def test_a_page_that_leaves_is_forgotten(running: Running) -> None:
    listener = Listener(running.client())
    listener.client.close()
    running.recorder.wait_for("closed")


def test_a_folder_that_is_not_there(app: App, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no folder"):
        Live(app, tmp_path / "missing")


def test_without_watchfiles(app: App, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(ConfigurationError, match=r"pip install firstbyte\[reload\]"):
        Live(app, site)


def test_debug_is_that_of_the_app(app: App, site: Path) -> None:
    live = Live(app, site)
    live.debug = True
    assert app.debug
    assert not hasattr(Live(StaticFiles(site), site), "debug")
