"""A folder as people use it: in Chromium, and with curl."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import TypeAlias

import pytest

import needs
from browsing import Page
from firstbyte import Server
from firstbyte.files.pages import ErrorPages
from firstbyte.files.static import StaticFiles
from firstbyte.http.handler import Handler

Serve: TypeAlias = Callable[[Handler], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[tuple[Server, Thread]] = []

    def start(handler: Handler) -> str:
        server = Server(ErrorPages(handler), port=0)
        server.bind()
        thread = Thread(target=server.run, kwargs={"signals": False})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.addresses[0].port}"

    yield start
    for server, thread in running:
        server.stop()
        thread.join()


@pytest.fixture
def page(page: Page) -> Page:
    page.look(900, 640)
    return page


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    (root / "sub" / "deep").mkdir(parents=True)
    for name in ("Alpha.txt", "beta.md", "ünï ☃ & co.txt", "sub/below.txt"):
        (root / name).write_text(f"this is {name}")
    (root / "dot.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
    )
    return root


SHOWN = "[...document.querySelectorAll('tbody tr:not(.up):not([hidden]) td a')].map(link => link.textContent)"


def shows(page: Page, names: list[str]) -> None:
    page.wait_for(f"document.readyState == 'complete' && {SHOWN}.join() == {json.dumps(','.join(names))}")


def test_a_listing(page: Page, serve: Serve, root: Path) -> None:
    url = serve(StaticFiles(root, listing=True))
    page.open(f"{url}/")
    names = ["sub/", "Alpha.txt", "beta.md", "dot.svg", "ünï ☃ & co.txt"]
    shows(page, names)
    page.wait_for("document.querySelector('td img').naturalWidth == 9")  # the preview
    page.evaluate("document.querySelector('[name=filter]').focus()")
    page.write("A")
    shows(page, ["Alpha.txt", "beta.md"])
    page.write("lp")
    shows(page, ["Alpha.txt"])
    page.press("Enter")  # as without scripts
    page.wait_for("location.search.includes('filter=Alp') && document.readyState == 'complete'")
    shows(page, ["Alpha.txt"])
    page.evaluate("document.querySelector('th.size a').click()")
    page.wait_for("location.search.includes('sort=size')")
    page.open(f"{url}/?order=asc")
    page.evaluate("[...document.querySelectorAll('td a')].find(link => link.textContent.includes('☃')).click()")
    page.wait_for("document.body.innerText == 'this is ünï ☃ & co.txt'")
    page.open(f"{url}/sub/deep/")
    assert "Nothing is here." in page.evaluate("document.body.innerText")
    page.evaluate("[...document.querySelectorAll('h1 a')].find(link => link.textContent == 'sub').click()")
    shows(page, ["deep/", "below.txt"])
    assert page.complaints == []


def test_tiles_need_no_script_and_are_remembered(page: Page, serve: Serve, root: Path) -> None:
    page.open(f"{serve(StaticFiles(root, listing=True))}/")
    page.evaluate("document.getElementById('tiles').click()")
    assert page.evaluate("getComputedStyle(document.querySelector('tbody')).display") == "grid"
    page.reload()
    page.wait_for("document.readyState == 'complete' && document.getElementById('tiles').checked")


def test_a_single_page_applications_deep_link(page: Page, serve: Serve, root: Path) -> None:
    (root / "index.html").write_text(
        "<!doctype html><link rel=icon href=data:,><main></main><script src=/app.js></script>"
        "<script>fetch('/missing.js').then(answer => { document.title = answer.status })</script>"
    )
    (root / "app.js").write_text("document.querySelector('main').textContent = location.pathname")
    page.open(f"{serve(StaticFiles(root, spa=True))}/tasks/42/edit")
    page.wait_for("document.querySelector('main').textContent == '/tasks/42/edit' && document.title == '404'")


def wav(seconds: int) -> bytes:
    """Silence, as a file that a browser can seek in."""
    rate = 8000
    size = rate * seconds * 2
    head = b"RIFF" + (36 + size).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    head += (1).to_bytes(2, "little") * 2 + rate.to_bytes(4, "little") + (rate * 2).to_bytes(4, "little")
    return head + b"\x02\x00\x10\x00data" + size.to_bytes(4, "little") + bytes(size)


def test_seeking_in_a_film(page: Page, serve: Serve, root: Path) -> None:
    """It asks for the part that it needs: 80 MB are not read to get to their end."""
    (root / "long.wav").write_bytes(wav(5000))
    (root / "index.html").write_text(
        "<!doctype html><link rel=icon href=data:,><video src=long.wav preload=metadata></video>"
    )
    page.open(f"{serve(StaticFiles(root))}/")
    page.wait_for("document.querySelector('video').readyState >= 1")
    assert page.evaluate("document.querySelector('video').duration") == 5000
    page.evaluate("document.querySelector('video').currentTime = 4900")
    page.wait_for("!document.querySelector('video').seeking && document.querySelector('video').readyState >= 2")
    assert page.evaluate("document.querySelector('video').currentTime") == 4900


@pytest.mark.needs("curl")
def test_curl(serve: Serve, root: Path, tmp_path: Path) -> None:
    program = needs.program("curl")
    large = os.urandom(3_000_000)
    (root / "large.bin").write_bytes(large)
    url = serve(StaticFiles(root, listing=True))

    def curl(*arguments: str) -> str:
        done = subprocess.run(
            [program, "-sS", "--fail", *arguments], capture_output=True, text=True, cwd=tmp_path, check=True
        )
        return done.stdout

    (tmp_path / "large.bin").write_bytes(large[:1_234_567])
    told = curl("-C", "-", "-O", "-w", "%{http_code} %{size_download}", f"{url}/large.bin")
    assert told == f"206 {len(large) - 1_234_567}"
    assert (tmp_path / "large.bin").read_bytes() == large
    curl("-o", "all.zip", f"{url}/?zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as found:
        assert found.read("large.bin") == large
        assert "ünï ☃ & co.txt" in found.namelist()
    curl("-z", "large.bin", "-R", "-o", "again.bin", f"{url}/large.bin")
    parts = curl("-r", "0-1,10-11", "-D", "-", "-o", "/dev/null", f"{url}/large.bin")
    assert "multipart/byteranges" in parts
    assert curl("--compressed", f"{url}/beta.md") == "this is beta.md"
