"""The upload page in a browser, as its users have it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from browsing import Chromium, Page
from engine.support import Running, Serve
from files.support import app_of, names
from firstbyte.files.upload_store import PARTIALS

MIB = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


@pytest.fixture
def running(serve: Serve, root: Path) -> Running:
    return serve(app_of(root), threads=16)


@pytest.fixture
def page(running: Running, page: Page) -> Page:
    page.open(f"http://127.0.0.1:{running.server.port}/?upload")
    return page


def choose(page: Page, *files: Path, selector: str = "#upload input[multiple]") -> None:
    page.choose(selector, *files)


def rows(state: str) -> str:
    return f"document.querySelectorAll('#upload li[data-state={state}]').length"


def click(page: Page, button: str) -> None:
    page.evaluate(f"document.querySelector('#upload li .{button}').click()")


def made(folder: Path, name: str, size: int) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


def test_three_files_with_their_progress(page: Page, root: Path, tmp_path: Path) -> None:
    files = [made(tmp_path, name, size) for name, size in [("a.bin", MIB), ("é 2.bin", MIB), ("empty.txt", 0)]]
    with page.slow(MIB):
        choose(page, *files)
        page.wait_for("[...document.querySelectorAll('#upload progress')].filter(e => e.value % 1).length == 2")
        page.wait_for(f"{rows('done')} == 3")
    assert page.evaluate("document.querySelector('#upload [role=status]').textContent").startswith("3 of 3 uploaded")
    assert all((root / file.name).read_bytes() == file.read_bytes() for file in files)
    page.wait_for("document.querySelector('#upload li b a').getAttribute('href') == '/a.bin'")
    assert page.complaints == []


def test_cancelled_and_resumed(page: Page, root: Path, tmp_path: Path) -> None:
    file = made(tmp_path, "big.bin", 9 * MIB)
    with page.slow(4 * MIB):
        choose(page, file)
        page.wait_for("document.querySelector('#upload progress').value > 0.5")  # the second chunk is on its way
        click(page, "cancel")
        page.wait_for(f"{rows('cancelled')} == 1")
    assert not (root / "big.bin").exists()
    (partial,) = (path for path in (root / PARTIALS).iterdir() if not path.suffix)
    assert partial.stat().st_size >= MIB
    inode = partial.stat().st_ino
    click(page, "resume")
    page.wait_for(f"{rows('done')} == 1")
    assert (root / "big.bin").read_bytes() == file.read_bytes()
    assert (root / "big.bin").stat().st_ino == inode  # what had come was not sent again


def test_resumed_after_the_page_was_left(page: Page, running: Running, root: Path, tmp_path: Path) -> None:
    file = made(tmp_path, "big.bin", 9 * MIB)
    with page.slow(4 * MIB):
        choose(page, file)
        page.wait_for("document.querySelector('#upload progress').value > 0.5")
        click(page, "cancel")
        page.wait_for(f"{rows('cancelled')} == 1")
    page.open(f"http://127.0.0.1:{running.server.port}/?upload")
    (partial,) = (path for path in (root / PARTIALS).iterdir() if not path.suffix)
    inode = partial.stat().st_ino
    choose(page, file)
    page.wait_for(f"{rows('done')} == 1")
    assert (root / "big.bin").read_bytes() == file.read_bytes()
    assert (root / "big.bin").stat().st_ino == inode


def test_a_connection_that_breaks_is_no_end(page: Page, running: Running, root: Path, tmp_path: Path) -> None:
    file = made(tmp_path, "big.bin", 9 * MIB)
    with page.slow(4 * MIB):
        choose(page, file)
        page.wait_for("document.querySelector('#upload progress').value > 0.5")
        with page.offline():
            page.wait_for("document.querySelector('#upload small').textContent.includes('trying again')")
    page.wait_for(f"{rows('done')} == 1")
    assert (root / "big.bin").read_bytes() == file.read_bytes()


def test_discarded(page: Page, root: Path, tmp_path: Path) -> None:
    with page.slow(MIB):
        choose(page, made(tmp_path, "big.bin", 9 * MIB))
        page.wait_for("document.querySelector('#upload progress').value > 0")
        click(page, "cancel")
        page.wait_for(f"{rows('cancelled')} == 1")
        click(page, "discard")
    page.wait_for("!document.querySelector('#upload li')")
    while names(root):  # the server may still have what was cancelled
        page.evaluate("new Promise(tell => setTimeout(tell, 5))")


def test_a_folder(page: Page, root: Path, tmp_path: Path) -> None:
    made(tmp_path, "photos/2024/a.jpg", 10)
    made(tmp_path, "photos/b.jpg", 10)
    choose(page, tmp_path / "photos", selector="#upload input[webkitdirectory]")
    page.wait_for(f"{rows('done')} == 2")
    assert {name for name in names(root) if PARTIALS not in name} == {"photos/2024/a.jpg", "photos/b.jpg"}


def test_a_file_that_is_dropped(page: Page, root: Path, tmp_path: Path) -> None:
    file = made(tmp_path, "dropped.bin", 1000)

    def drag(kind: str) -> None:
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        page.devtools("Input.dispatchDragEvent", {"type": kind, "x": 100, "y": 100, "data": data})

    drag("dragEnter")
    drag("dragOver")
    page.wait_for("document.body.classList.contains('dropping')")
    drag("drop")
    page.wait_for(f"{rows('done')} == 1")
    assert (root / "dropped.bin").read_bytes() == file.read_bytes()
    assert not page.evaluate("document.body.classList.contains('dropping')")


def test_without_scripts(running: Running, chromium: Chromium, root: Path, tmp_path: Path) -> None:
    with chromium.page(scripts=False) as page:
        page.open(f"http://127.0.0.1:{running.server.port}/?upload")
        assert not page.evaluate("Boolean(document.querySelector('.scripted'))")
        choose(page, made(tmp_path, "plain.bin", 1000))
        page.click("#upload form > button")
        page.wait_for("location.search == '' && document.querySelector('a[href=\"./plain.bin\"]')")
    assert names(root) == {"plain.bin"}
