"""Live reload in a browser: style sheets, pages, what is being uploaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from demo.browser import Browser
from engine.support import Running, Serve
from files.support import app_of
from files.test_upload_page import choose, made, rows, slow
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


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "profile") as browser:
        yield browser


def opened(browser: Browser, running: Running) -> None:
    """The page, when it listens."""
    browser.open(f"http://127.0.0.1:{running.server.port}/")
    browser.evaluate("window.marked = true")
    browser.wait_for("performance.getEntriesByType('resource').some(e => e.name.endsWith('live.js'))")


def write_until(browser: Browser, path: Path, text: str, condition: str) -> None:
    """Changes a file until the page shows it, since the watcher may not have begun."""
    for number in range(1000):
        if number % 100 == 0:
            path.write_text(text)
        with suppress(RuntimeError):  # the page went away under the question, to the next one
            if browser.evaluate(f"new Promise(tell => setTimeout(() => tell(Boolean({condition})), 20))"):
                return
    raise AssertionError(f"never true: {condition}")


def test_a_style_sheet_is_put_in_place(browser: Browser, running: Running, site: Path) -> None:
    opened(browser, running)
    colour = "getComputedStyle(document.querySelector('p')).color"
    for shown in ("rgb(4, 5, 6)", "rgb(7, 8, 9)"):
        write_until(browser, site / "css" / "a.css", f"p {{ color: {shown} }}", f"{colour} == '{shown}'")
    browser.wait_for("document.querySelectorAll('link[rel=stylesheet]').length == 1")
    assert browser.evaluate("window.marked") is True  # it was not loaded again
    assert browser.complaints == []


def test_a_page_is_loaded_again(browser: Browser, running: Running, site: Path) -> None:
    opened(browser, running)
    write_until(browser, site / "index.html", PAGE + " and second", "document.body.innerText.includes('second')")
    assert browser.evaluate("window.marked") is None
    opened(browser, running)
    write_until(browser, site / "css" / "other.css", "/* of no link */", "!window.marked")  # as an @import may be
    browser.wait_for("document.readyState == 'complete'")
    assert browser.complaints == []


def test_a_page_can_keep_what_it_has(browser: Browser, running: Running, site: Path) -> None:
    opened(browser, running)
    browser.evaluate("addEventListener('firstbyte:reload', event => { window.asked = true; event.preventDefault() })")
    write_until(browser, site / "index.html", PAGE + " and second", "window.asked")
    assert browser.evaluate("window.marked") is True


def test_a_page_hears_what_it_has_missed(browser: Browser, running: Running, site: Path) -> None:
    opened(browser, running)
    write_until(browser, site / "index.html", PAGE + " and second", "document.body.innerText.includes('second')")
    # As a page that was put in the background, which listens no more.
    browser.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "dispatchEvent(new Event('visibilitychange')); window.marked = true"
    )
    (site / "index.html").write_text(PAGE + " and third")
    with_events = f"http://127.0.0.1:{running.server.port}/.firstbyte/live?since=0"
    browser.evaluate(  # the server has seen the change
        f"(async () => {{ const all = await fetch('{with_events}'); const reader = all.body.getReader();"
        " for (let text = ''; !text.includes('data:');) text += new TextDecoder().decode((await reader.read()).value);"
        " reader.cancel() })()"
    )
    assert browser.evaluate("window.marked") is True
    browser.evaluate(
        "Object.defineProperty(document, 'hidden', {value: false, configurable: true});"
        "dispatchEvent(new Event('visibilitychange'))"
    )
    browser.wait_for("document.body.innerText.includes('third')")


def test_what_is_uploaded_does_not_end_its_upload(browser: Browser, serve: Serve, tmp_path: Path) -> None:
    root = tmp_path / "inbox"
    root.mkdir()
    running = serve(Live(app_of(root), root), threads=16)
    browser.open(f"http://127.0.0.1:{running.server.port}/?upload")
    with slow(browser, 1 << 20):
        choose(browser, made(tmp_path, "small.bin", 1000), made(tmp_path, "big.bin", 3 << 20))
        browser.wait_for(f"{rows('done')} == 2")
    assert {path.name for path in root.glob("*.bin")} == {"small.bin", "big.bin"}
