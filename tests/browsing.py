"""Debian's Chromium without a window, driven by Playwright."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import needs

needs.package("playwright")  # first: without it the tests skip

from playwright.sync_api import Browser, ConsoleMessage, Error, sync_playwright  # noqa: E402

WAIT = 60  # seconds after which a test gives up on something that must come

BrowserError = Error  # what the browser refuses, and a question that the page went away under


class Page:
    """A page of a browser, with cookies and storage of its own; `devtools` are for what is not here."""

    def __init__(self, browser: Browser, *, scripts: bool = True) -> None:
        self._page = browser.new_page(reduced_motion="reduce", java_script_enabled=scripts)
        self._page.set_default_timeout(WAIT * 1000)
        self.devtools = self._page.context.new_cdp_session(self._page)
        self.complaints: list[str] = []  # what the page's scripts threw or logged as errors
        self._page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self._page.on("console", self._note)

    def open(self, url: str) -> None:
        """Goes to an address; returns when the page and what belongs to it are loaded."""
        self._page.goto(url)

    def reload(self) -> None:
        """Loads it anew."""
        self._page.reload()

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page, awaited if it is a promise."""
        return self._page.evaluate(script)

    def wait_for(self, condition: str) -> None:
        """Returns when an expression is true in the page, also in one that scripts may not run in."""
        until = monotonic() + WAIT
        while monotonic() < until:
            try:
                if self.evaluate(f"Boolean({condition})"):
                    return
            except BrowserError:  # the page went away under the question, to the next one
                pass
            self._page.wait_for_timeout(5)
        raise AssertionError(f"never true: {condition}\n{self.evaluate('document.body.innerText')}\n{self.complaints}")

    def write(self, text: str) -> None:
        """Types a text into what has the focus."""
        self._page.keyboard.insert_text(text)

    def press(self, key: str) -> None:
        """Presses a key and lets it go: Enter, Tab or Space."""
        self._page.keyboard.press(key)

    def click(self, selector: str) -> None:
        """Clicks on an element, when it can be clicked."""
        self._page.click(selector)

    def choose(self, selector: str, *files: Path) -> None:
        """Chooses files, or a folder, as with the dialogue."""
        self._page.set_input_files(selector, files)

    def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """Gives the page a size in CSS pixels and a colour scheme."""
        self._page.set_viewport_size({"width": width, "height": height})
        self._page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")

    @contextmanager
    def slow(self, bytes_per_second: int) -> Iterator[None]:
        """What it sends takes its time meanwhile."""
        self._network(uploadThroughput=bytes_per_second)
        yield
        self._network()

    @contextmanager
    def offline(self) -> Iterator[None]:
        """It reaches no server meanwhile."""
        self._network(offline=True)
        yield
        self._network()

    def _network(self, **limits: Any) -> None:
        everything = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.devtools.send("Network.enable")
        self.devtools.send("Network.emulateNetworkConditions", {**everything, **limits})

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):  # its own wish
            self.complaints.append(message.text)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, while the block runs."""
    program = needs.program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-quic"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def one_page(*, scripts: bool = True) -> Iterator[Page]:
    """A browser with a page."""
    with chromium() as browser:
        yield Page(browser, scripts=scripts)
