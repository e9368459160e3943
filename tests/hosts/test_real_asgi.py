"""FastAPI, Starlette, Django, Litestar and Quart on the server: what their users do every day."""

from __future__ import annotations

import importlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import needs

try:
    from litestar import Litestar, Request, get
    from litestar import post as litestar_post
    from litestar.response import Stream
except ImportError:
    pass

from engine.support import WAIT, Client, Serve
from firstbyte.hosts.asgi import ASGI

FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n%b\r\n--b--\r\n'


def post(
    client: Client, path: str, media_type: str, data: bytes, fields: str = ""
) -> tuple[int, dict[str, str], bytes]:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {media_type}\r\nContent-Length: {len(data)}\r\n{fields}\r\n"
    )
    return client.send(head.encode() + data).read()


class Log(list[str]):
    """What the application says, and a way to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def say(self, line: str) -> None:
        with self._changed:
            self.append(line)
            self._changed.notify_all()

    def wait_for(self, line: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: line in self, WAIT), self


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def driver(each_loop: str) -> str:
    return each_loop


# -- FastAPI and Starlette


@pytest.fixture
def fastapi_app(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    needs.package("fastapi")
    monkeypatch.syspath_prepend(Path(__file__).parent / "apps")
    return importlib.import_module("fastapi_site").make(log.say, tmp_path)


@pytest.fixture
def fastapi(serve: Serve, fastapi_app: Any) -> Client:
    return serve(ASGI(fastapi_app)).client()


def test_fastapi_dependencies_and_the_state_of_the_lifespan(fastapi: Client, log: Log) -> None:
    status, fields, body = fastapi.get("/items/7").read()
    assert (status, body) == (200, b'{"id":7,"given":"connection","database":"open"}')
    assert fields["x-marked"] == "yes"
    log.wait_for("disconnect")
    assert log == ["up", "connect", "disconnect"]
    assert fastapi.get("/items/x").read()[0] == 422
    assert b"thread" in fastapi.get("/def").read()[2]


def test_fastapi_bodies(fastapi: Client) -> None:
    assert post(fastapi, "/items", "application/json", b'{"name":"a","price":1.5}')[2] == b'{"name":"a","price":1.5}'
    data = FORM % (b"x" * 2_000_000)
    assert post(fastapi, "/upload", "multipart/form-data; boundary=b", data)[2] == b'{"name":"a.txt","size":2000000}'


def test_fastapi_background_tasks(fastapi: Client, log: Log) -> None:
    assert post(fastapi, "/background", "text/plain", b"")[2] == b'"sent"'
    log.wait_for("background")
    assert fastapi.get("/def").read()[0] == 200


def test_fastapi_streams(fastapi: Client, log: Log) -> None:
    assert fastapi.get("/stream").read()[2] == b"0,1,2,3,4,"
    log.wait_for("stream ended")
    fastapi.get("/endless")
    while b"first" not in fastapi.buffer:
        fastapi.more()
    fastapi.close()
    log.wait_for("endless ended")


def test_starlette_files_and_sessions(fastapi: Client) -> None:
    for path in ("/file", "/static/page.txt"):
        status, fields, body = fastapi.get(path).read()
        assert (status, body) == (200, b"from a file")
    etag = f"If-None-Match: {fields['etag']}\r\n"
    assert fastapi.get("/static/page.txt", etag).read()[0] == 304
    assert fastapi.get("/static/none").read()[0] == 404
    _, fields, body = fastapi.get("/count").read()
    cookie = fields["set-cookie"].partition(";")[0]
    assert (body, fastapi.get("/count", f"Cookie: {cookie}\r\n").read()[2]) == (b"1", b"2")


def test_fastapi_faults_are_its_own_500(fastapi: Client) -> None:
    assert fastapi.get("/fault").read()[0] == 500
    assert fastapi.get("/def").read()[0] == 200


# -- Django


DJANGO = """
import sys
import django
from django.conf import settings
settings.configure(SECRET_KEY="s", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DEBUG=False,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"], DATA_UPLOAD_MAX_MEMORY_SIZE=None)
django.setup()
from django.core.asgi import get_asgi_application
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

async def hello(request, name):
    return HttpResponse(f"hello {name} {request.path} {request.META['REMOTE_ADDR']}")

def upload(request):
    return JsonResponse({key: file.size for key, file in request.FILES.items()})

async def stream(request):
    async def pieces():
        for number in range(5):
            yield f"{number},"
    return StreamingHttpResponse(pieces())

urlpatterns = [path("hello/<name>", hello), path("upload", upload), path("stream", stream)]
app = get_asgi_application()
"""


def test_django(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    needs.package("django")
    (tmp_path / "django_asgi_project.py").write_text(DJANGO)
    monkeypatch.syspath_prepend(tmp_path)
    client = serve(ASGI(importlib.import_module("django_asgi_project").app)).client()
    assert client.get("/hello/caf%C3%A9").read()[2] == "hello café /hello/café 127.0.0.1".encode()
    data = FORM % (b"x" * 5_000_000)
    assert post(client, "/upload", "multipart/form-data; boundary=b", data)[2] == b'{"file": 5000000}'
    assert client.get("/stream").read()[2] == b"0,1,2,3,4,"
    assert client.get("/nothing").read()[0] == 404


# -- Litestar


def test_litestar(serve: Serve, log: Log) -> None:
    needs.package("litestar")

    @get("/items/{id:int}", sync_to_thread=False)
    def item(request: Request[Any, Any, Any]) -> dict[str, int]:
        return {"id": request.path_params["id"]}

    @litestar_post("/echo")
    async def echo(request: Request[Any, Any, Any]) -> dict[str, int]:
        return await request.json()  # type: ignore[no-any-return]

    @get("/stream")
    async def stream() -> Stream:
        async def pieces() -> AsyncIterator[bytes]:
            for number in range(5):
                yield b"%d," % number

        return Stream(pieces())

    app = Litestar([item, echo, stream], on_startup=[lambda: log.say("up")], on_shutdown=[lambda: log.say("down")])
    running = serve(ASGI(app))
    client = running.client()
    assert client.get("/items/7").read()[2] == b'{"id":7}'
    assert post(client, "/echo", "application/json", b'{"a":1}')[::2] == (201, b'{"a":1}')
    assert client.get("/stream").read()[2] == b"0,1,2,3,4,"
    client.close()
    running.server.__exit__(None, None, None)
    assert log == ["up", "down"]


# -- Quart


def test_quart(serve: Serve, log: Log) -> None:
    quart = needs.package("quart")
    app = quart.Quart("shop", root_path="/")
    app.secret_key = "s"

    @app.before_serving
    async def up() -> None:
        log.say("up")

    @app.get("/count")
    async def count() -> str:
        quart.session["count"] = quart.session.get("count", 0) + 1
        return str(quart.session["count"])

    @app.post("/upload")
    async def upload() -> dict[str, int]:
        files = await quart.request.files
        return {"size": len(files["file"].read())}

    @app.get("/stream")
    async def stream() -> Any:
        async def pieces() -> AsyncIterator[bytes]:
            for number in range(5):
                yield b"%d," % number

        return pieces()

    client = serve(ASGI(app)).client()
    _, fields, body = client.get("/count").read()
    assert body == b"1"
    cookie = fields["set-cookie"].partition(";")[0]
    assert client.get("/count", f"Cookie: {cookie}\r\n").read()[2] == b"2"
    assert (
        post(client, "/upload", "multipart/form-data; boundary=b", FORM % (b"x" * 500_000))[2] == b'{"size":500000}\n'
    )
    assert client.get("/stream").read()[2] == b"0,1,2,3,4,"
    assert log == ["up"]
