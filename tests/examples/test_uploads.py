"""examples/uploads.py on a real server, asked as browsers and curl ask it."""

from __future__ import annotations

import hashlib
import json
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from browsing import Page
from engine.support import Client, Running, Serve
from examples.support import example

BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
MB = 1_000_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the example keeps its files."""
    folder = tmp_path / "uploads"
    monkeypatch.setenv("UPLOADS", str(folder))
    return folder


@pytest.fixture
def server(folder: Path, serve: Serve) -> Running:
    return serve(example("uploads"))


def part(name: str, content: bytes, filename: str | None = None, media_type: str = "") -> bytes:
    """A part as Chromium writes it."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
    if filename is not None:
        head += f'; filename="{filename}"\r\nContent-Type: {media_type or "application/octet-stream"}'
    return f"{head}\r\n\r\n".encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def post(client: Client, path: str, *pieces: bytes, chunked: bool = False) -> tuple[int, dict[str, str], bytes]:
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {sum(map(len, pieces))}"
    client.send(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n{framing}\r\n\r\n".encode()
    )
    for piece in pieces:
        client.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
    if chunked:
        client.send(b"0\r\n\r\n")
    return client.read()


def test_a_form_of_a_browser(server: Running, folder: Path) -> None:
    client = server.client()
    status, fields, _ = post(
        client,
        "/",
        part("files", b"\x89PNG\r\n", "Grüße an %22alle%22.png", "image/png"),
        part("files", b"<script>", "../../../evil.html", "text/html"),
        part("files", b"again", "evil.html", "text/html"),
        part("files", b"", "日本.txt", "text/plain"),
        part("files", b"", "", "application/octet-stream"),
        part("person", "Zoë <b>".encode()),
        END,
    )
    names = ["Grüße an _alle_.png", "evil.html", "evil-1.html", "日本.txt"]
    assert status == 303
    assert unquote(fields["location"]) == f"./?said=Zoë <b> uploaded {', '.join(names)}"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == dict(
        zip(names, [b"\x89PNG\r\n", b"<script>", b"again", b""], strict=True)
    )
    status, _, page = client.get(fields["location"].removeprefix(".")).read()
    assert status == 200
    assert "Zoë &lt;b&gt; uploaded" in page.decode()
    assert '<a href="files/evil-1.html">evil-1.html</a>' in page.decode()
    status, fields, content = client.get("/files/evil.html").read()
    assert (status, content) == (200, b"<script>")
    assert fields["content-disposition"] == 'attachment; filename="evil.html"'
    assert client.get("/files/..%2Fuploads").read()[0] == 404


def test_a_form_in_a_browser(server: Running, page: Page, folder: Path, tmp_path: Path) -> None:
    chosen = {'Grüße "an" 50%22.txt': b"text", "back\\slash.bin": bytes(range(256)) * 5000, "leer": b""}
    for name, content in chosen.items():
        (tmp_path / name).write_bytes(content)
    page.open(f"http://127.0.0.1:{server.server.port}/")
    page.choose("[type=file]", *(tmp_path / name for name in chosen))
    page.evaluate("document.querySelector('[name=person]').focus()")
    page.write('Zoë "Z"')
    page.press("Enter")
    page.wait_for("document.querySelector('[role=status]').innerText.includes('uploaded')")
    said = page.evaluate("document.querySelector('[role=status]').innerText")
    assert not page.complaints
    saved = ["Grüße _an_ 50_.txt", "slash.bin", "leer"]
    assert said == f'Zoë "Z" uploaded {", ".join(saved)}'
    assert [(folder / name).read_bytes() for name in saved] == list(chosen.values())


def test_a_form_with_nothing_chosen(server: Running, folder: Path) -> None:
    status, fields, _ = post(server.client(), "/", part("files", b"", ""), part("person", b""), END)
    assert (status, unquote(fields["location"])) == (303, "./?said=Somebody uploaded nothing")
    assert list(folder.iterdir()) == []


def test_a_body_that_is_cut_saves_nothing(server: Running, folder: Path) -> None:
    status, _, page = post(server.client(), "/", part("files", b"1", "a"), part("files", b"2" * 20, "b")[:-10])
    assert status == 400
    assert "the body ends within part 2" in page.decode()
    assert list(folder.iterdir()) == []


@pytest.fixture
def peak() -> Iterator[None]:
    """Holds the memory of this process, server and client, to a few of the megabytes that it moves."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 4 * MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_long_file_is_never_in_memory(
    server: Running, folder: Path, chunked: bool, peak: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    piece = bytes(range(250)) * 400
    pieces = [part("files", b"", "20 MB.bin")[:-2], *[piece] * 200, b"\r\n", END]
    status, _, _ = post(server.client(), "/", *pieces, chunked=chunked)
    assert status == 303
    assert (folder / "20 MB.bin").stat().st_size == 20 * MB
    with (folder / "20 MB.bin").open("rb") as file:
        assert all(file.read(len(piece)) == piece for _ in range(200))
    assert list(temporary.iterdir()) == []


def test_files_that_are_read_as_they_come(server: Running, folder: Path, peak: None) -> None:
    piece = b"x" * 100_000
    whole = hashlib.sha256()
    for _ in range(200):
        whole.update(piece)
    client = server.client()
    for _ in range(2):
        status, _, answer = post(
            client,
            "/checksums",
            part("a", b"", "a")[:-2],
            *[piece] * 200,
            b"\r\n",
            part("b", b"field"),
            END,
            chunked=True,
        )
        assert status == 200
        assert json.loads(answer) == [
            {"name": "a", "filename": "a", "bytes": 20 * MB, "sha256": whole.hexdigest()},
            {"name": "b", "filename": None, "bytes": 5, "sha256": hashlib.sha256(b"field").hexdigest()},
        ]
    assert list(folder.iterdir()) == []
