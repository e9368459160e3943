"""The upload page in a browser, as its users have it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from demo.browser import Browser
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
def page(running: Running, tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "profile") as browser:
        browser.open(f"http://127.0.0.1:{running.server.port}/?upload")
        yield browser


@contextmanager
def slow(page: Browser, bytes_per_second: int) -> Iterator[None]:
    """A connection that takes so long that what is shown meanwhile can be seen."""
    page.call("Network.enable")
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1}
    page.call("Network.emulateNetworkConditions", **limits, uploadThroughput=bytes_per_second)
    yield
    page.call("Network.emulateNetworkConditions", **limits, uploadThroughput=-1)


def choose(page: Browser, *files: Path, selector: str = "#upload input[multiple]") -> None:
    """Chooses files, as with the dialogue."""
    found = page.call("Runtime.evaluate", expression=f"document.querySelector('{selector}')")
    page.call("DOM.setFileInputFiles", files=[str(file) for file in files], objectId=found["result"]["objectId"])


def rows(state: str) -> str:
    return f"document.querySelectorAll('#upload li[data-state={state}]').length"


def click(page: Browser, button: str) -> None:
    page.evaluate(f"document.querySelector('#upload li .{button}').click()")


def made(folder: Path, name: str, size: int) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


def test_three_files_with_their_progress(page: Browser, root: Path, tmp_path: Path) -> None:
    files = [made(tmp_path, name, size) for name, size in [("a.bin", MIB), ("é 2.bin", MIB), ("empty.txt", 0)]]
    with slow(page, MIB):
        choose(page, *files)
        page.wait_for("[...document.querySelectorAll('#upload progress')].filter(e => e.value % 1).length == 2")
        page.wait_for(f"{rows('done')} == 3")
    assert page.evaluate("document.querySelector('#upload [role=status]').textContent").startswith("3 of 3 uploaded")
    assert all((root / file.name).read_bytes() == file.read_bytes() for file in files)
    page.wait_for("document.querySelector('#upload li b a').getAttribute('href') == '/a.bin'")
    assert page.complaints == []


def test_cancelled_and_resumed(page: Browser, root: Path, tmp_path: Path) -> None:
    file = made(tmp_path, "big.bin", 9 * MIB)
    with slow(page, 4 * MIB):
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


def test_resumed_after_the_page_was_left(page: Browser, running: Running, root: Path, tmp_path: Path) -> None:
    file = made(tmp_path, "big.bin", 9 * MIB)
    with slow(page, 4 * MIB):
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


def test_a_connection_that_breaks_is_no_end(page: Browser, running: Running, root: Path, tmp_path: Path) -> None:
    file = made(tmp_path, "big.bin", 9 * MIB)
    with slow(page, 4 * MIB):
        choose(page, file)
        page.wait_for("document.querySelector('#upload progress').value > 0.5")
        page.call(
            "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )
        page.wait_for("document.querySelector('#upload small').textContent.includes('trying again')")
    page.wait_for(f"{rows('done')} == 1")
    assert (root / "big.bin").read_bytes() == file.read_bytes()


def test_discarded(page: Browser, root: Path, tmp_path: Path) -> None:
    with slow(page, MIB):
        choose(page, made(tmp_path, "big.bin", 9 * MIB))
        page.wait_for("document.querySelector('#upload progress').value > 0")
        click(page, "cancel")
        page.wait_for(f"{rows('cancelled')} == 1")
        click(page, "discard")
    page.wait_for("!document.querySelector('#upload li')")
    while names(root):  # the server may still have what was cancelled
        page.evaluate("new Promise(tell => setTimeout(tell, 5))")


def test_a_folder(page: Browser, root: Path, tmp_path: Path) -> None:
    made(tmp_path, "photos/2024/a.jpg", 10)
    made(tmp_path, "photos/b.jpg", 10)
    choose(page, tmp_path / "photos", selector="#upload input[webkitdirectory]")
    page.wait_for(f"{rows('done')} == 2")
    assert {name for name in names(root) if PARTIALS not in name} == {"photos/2024/a.jpg", "photos/b.jpg"}


def test_a_file_that_is_dropped(page: Browser, root: Path, tmp_path: Path) -> None:
    file = made(tmp_path, "dropped.bin", 1000)
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver"):
        page.call("Input.dispatchDragEvent", type=kind, x=100, y=100, data=data)
    page.wait_for("document.body.classList.contains('dropping')")
    page.call("Input.dispatchDragEvent", type="drop", x=100, y=100, data=data)
    page.wait_for(f"{rows('done')} == 1")
    assert (root / "dropped.bin").read_bytes() == file.read_bytes()
    assert not page.evaluate("document.body.classList.contains('dropping')")


def test_without_scripts(page: Browser, running: Running, root: Path, tmp_path: Path) -> None:
    def until(condition: str) -> None:
        """As `wait_for`, which needs a timer of the page, that is a script of it."""
        for _ in range(10_000):
            with suppress(RuntimeError):  # the page went away under the question, to the next one
                if page.evaluate(condition):
                    return
        raise AssertionError(f"never true: {condition}")

    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.call("Page.reload")
    until("document.readyState == 'complete' && !document.querySelector('.scripted')")
    choose(page, made(tmp_path, "plain.bin", 1000))
    assert page.evaluate("getComputedStyle(document.querySelector('#upload form > button')).display") != "none"
    page.evaluate("document.querySelector('#upload form').submit()")
    until("location.search == '' && Boolean(document.querySelector('a[href=\"./plain.bin\"]'))")
    assert names(root) == {"plain.bin"}
