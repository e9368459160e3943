"""What a form has put into temporary files is gone with its request, however that ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine.support import WAIT, Serve
from firstbyte import App, Request, UploadedFile
from firstbyte.http.uploads import FormData

BODY = (
    b'--x\r\nContent-Disposition: form-data; name="long"; filename="long"\r\n\r\n'
    + b"1" * 600_000
    + b'\r\n--x\r\nContent-Disposition: form-data; name="short"; filename="short"\r\n\r\n12345\r\n--x--\r\n'
)


class Forms:
    """Reads the forms of a test, keeps them, and says when one has been closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self._forms: list[FormData] = []

    def read(self, request: Request) -> FormData:
        self._forms.append(request.form())
        return self._forms[-1]

    def files(self) -> list[UploadedFile]:
        return [file for form in self._forms for _, file in form.files.items()]


@pytest.fixture
def forms(monkeypatch: pytest.MonkeyPatch) -> Forms:
    forms = Forms()
    close = FormData.close

    def close_noted(self: FormData) -> None:
        close(self)
        forms.closed.set()

    monkeypatch.setattr(FormData, "close", close_noted)
    return forms


def post(path: str, body: bytes = BODY) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    )
    return head.encode() + body


def app_of(read: Callable[[Request], FormData]) -> App:
    app = App()

    @app.post("/def")
    def sync(request: Request) -> Any:
        return {name: file.size for name, file in read(request).files.items()}

    app.add_route("/streamed", sync, ["POST"], streams_body=True)

    @app.post("/raise")
    def fail(request: Request) -> Any:
        read(request)
        raise ValueError("a fault of the handler")

    @app.post("/generator")
    def generator(request: Request) -> Iterator[bytes]:
        yield read(request).files["short"].read()

    return app


@pytest.mark.parametrize(
    ("path", "status", "answer"),
    [
        ("/def", 200, b'{"long":600000,"short":5}'),
        ("/streamed", 200, b'{"long":600000,"short":5}'),
        ("/raise", 500, b""),
        ("/generator", 200, b"12345"),
    ],
)
@pytest.mark.parametrize("driver", ["auto", "asyncio"])
def test_files_are_closed_when_the_answer_is_sent(
    serve: Serve, forms: Forms, path: str, status: int, answer: bytes
) -> None:
    client = serve(app_of(forms.read)).client()
    for _ in range(2):
        got, _, body = client.send(post(path)).read()
        assert got == status
        assert answer in body
        assert forms.closed.wait(WAIT)
        forms.closed.clear()
    assert [file.file.closed for file in forms.files()] == [True] * 4


def test_files_of_coroutines_are_closed(serve: Serve, forms: Forms) -> None:
    app = App()

    @app.post("/")
    async def handler(request: Request) -> Any:
        form = forms.read(request)
        await asyncio.sleep(0)
        return {name: file.size for name, file in form.files.items()}

    assert serve(app).client().send(post("/")).read()[2] == b'{"long":600000,"short":5}'
    assert forms.closed.wait(WAIT)
    assert all(file.file.closed for file in forms.files())


def test_files_are_closed_when_the_client_leaves(serve: Serve, forms: Forms) -> None:
    app = App()
    begun = threading.Event()

    @app.post("/")
    async def handler(request: Request) -> None:
        forms.read(request)
        begun.set()
        await asyncio.sleep(WAIT * 10)

    client = serve(app).client().send(post("/"))
    assert begun.wait(WAIT)
    client.close()
    assert forms.closed.wait(WAIT)
    assert [file.file.closed for file in forms.files()] == [True, True]


def test_a_client_that_leaves_within_a_part(serve: Serve) -> None:
    app = App()
    begun, ended = threading.Event(), threading.Event()
    names: list[str] = []

    @app.route("/", ["POST"], streams_body=True)
    async def handler(request: Request) -> None:
        try:
            async for part in request.stream_parts():
                names.append(part.name)
                async for _ in part:
                    begun.set()
        finally:
            ended.set()

    client = serve(app).client().send(post("/", BODY[:1000]))
    assert begun.wait(WAIT)
    client.close()
    assert ended.wait(WAIT)
    assert names == ["long"]
