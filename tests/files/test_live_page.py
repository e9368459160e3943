"""Live reload in a browser: style sheets, pages, what is being uploaded."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from browsing import BrowserError, Page
from engine.support import Running, Serve
from files.support import app_of
from files.test_upload_page import choose, made, rows
from firstbyte import App
from firstbyte.files.live import Live
from firstbyte.files.static import StaticFiles

PAGE = '<!doctype html><title>A</title><link rel="icon" href="data:,"><link rel="stylesheet" href="css/a.css"><p>first'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    (site / "css").mkdir(parents=True)
    (site / "index.html").write_text(PAGE)
    (site / "css" / "a.css").write_text("p { color: rgb(1, 2, 3) }")
    (site / "css" / "other.css").write_text("")
    return site


@pytest.fixture
def running(site: Path, serve: Serve) -> Running:
    app = App()
    app.mount("/", StaticFiles(site))
    return serve(Live(app, site))


def opened(page: Page, running: Running) -> None:
    """The page, when it listens."""
    page.open(f"http://127.0.0.1:{running.server.port}/")
    page.evaluate("window.marked = true")
    page.wait_for("performance.getEntriesByType('resource').some(e => e.name.endsWith('live.js'))")


def write_until(page: Page, path: Path, text: str, condition: str) -> None:
    """Changes a file until the page shows it, since the watcher may not have begun."""
    for number in range(1000):
        if number % 100 == 0:
            path.write_text(text)
        with suppress(BrowserError):  # the page went away under the question, to the next one
            if page.evaluate(f"new Promise(tell => setTimeout(() => tell(Boolean({condition})), 20))"):
                return
    raise AssertionError(f"never true: {condition}")


def test_a_style_sheet_is_put_in_place(page: Page, running: Running, site: Path) -> None:
    opened(page, running)
    colour = "getComputedStyle(document.querySelector('p')).color"
    for shown in ("rgb(4, 5, 6)", "rgb(7, 8, 9)"):
        write_until(page, site / "css" / "a.css", f"p {{ color: {shown} }}", f"{colour} == '{shown}'")
    page.wait_for("document.querySelectorAll('link[rel=stylesheet]').length == 1")
    assert page.evaluate("window.marked") is True  # it was not loaded again
    assert page.complaints == []


def test_a_page_is_loaded_again(page: Page, running: Running, site: Path) -> None:
    opened(page, running)
    write_until(page, site / "index.html", PAGE + " and second", "document.body.innerText.includes('second')")
    assert page.evaluate("window.marked") is None
    opened(page, running)
    write_until(page, site / "css" / "other.css", "/* of no link */", "!window.marked")  # as an @import may be
    page.wait_for("document.readyState == 'complete'")
    assert page.complaints == []


def test_a_page_can_keep_what_it_has(page: Page, running: Running, site: Path) -> None:
    opened(page, running)
    page.evaluate("addEventListener('firstbyte:reload', event => { window.asked = true; event.preventDefault() })")
    write_until(page, site / "index.html", PAGE + " and second", "window.asked")
    assert page.evaluate("window.marked") is True


def test_a_page_hears_what_it_has_missed(page: Page, running: Running, site: Path) -> None:
    opened(page, running)
    write_until(page, site / "index.html", PAGE + " and second", "document.body.innerText.includes('second')")
    # As a page that was put in the background, which listens no more.
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "dispatchEvent(new Event('visibilitychange')); window.marked = true"
    )
    (site / "index.html").write_text(PAGE + " and third")
    with_events = f"http://127.0.0.1:{running.server.port}/.firstbyte/live?since=0"
    page.evaluate(  # the server has seen the change
        f"(async () => {{ const all = await fetch('{with_events}'); const reader = all.body.getReader();"
        " for (let text = ''; !text.includes('data:');) text += new TextDecoder().decode((await reader.read()).value);"
        " reader.cancel() })()"
    )
    assert page.evaluate("window.marked") is True
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: false, configurable: true});"
        "dispatchEvent(new Event('visibilitychange'))"
    )
    page.wait_for("document.body.innerText.includes('third')")


def test_what_is_uploaded_does_not_end_its_upload(page: Page, serve: Serve, tmp_path: Path) -> None:
    root = tmp_path / "inbox"
    root.mkdir()
    running = serve(Live(app_of(root), root), threads=16)
    page.open(f"http://127.0.0.1:{running.server.port}/?upload")
    with page.slow(1 << 20):
        choose(page, made(tmp_path, "small.bin", 1000), made(tmp_path, "big.bin", 3 << 20))
        page.wait_for(f"{rows('done')} == 2")
    assert {path.name for path in root.glob("*.bin")} == {"small.bin", "big.bin"}
