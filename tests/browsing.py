"""Debian's Chromium without a window, driven by Playwright.

One for all tests of a process, since a start takes a second and more; and in a thread of its own, since asyncio cannot
run in one that Playwright has been started in.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Concatenate, ParamSpec, TypeVar

import needs

needs.package("playwright")  # first: without it the tests skip

from playwright.sync_api import Browser, ConsoleMessage, Error, sync_playwright  # noqa: E402

WAIT = 60  # seconds after which a test gives up on something that must come

BrowserError = Error  # what the browser refuses, and a question that the page went away under


P = ParamSpec("P")
T = TypeVar("T")


def _there(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """The method, run in the browser's thread."""

    @functools.wraps(method)
    def run(self: Any, *arguments: P.args, **options: P.kwargs) -> T:
        if threading.current_thread().name.startswith("chromium"):
            return method(self, *arguments, **options)
        return self.thread.submit(method, self, *arguments, **options).result()

    return run


class Chromium:
    """The browser, with as many pages as tests open."""

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(1, "chromium")
        self._start(needs.program("chromium"))

    @_there
    def _start(self, program: str) -> None:
        self._playwright = sync_playwright().start()
        self.browser = self._playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-quic"]
        )

    @contextmanager
    def page(self, *, scripts: bool = True) -> Iterator[Page]:
        """A page, while the block runs."""
        page = Page(self.thread, self.browser, scripts=scripts)
        try:
            yield page
        finally:
            page.close()

    def close(self) -> None:
        """Ends the browser and its thread."""
        self._stop()
        self.thread.shutdown()

    @_there
    def _stop(self) -> None:
        self.browser.close()
        self._playwright.stop()


class Page:
    """A page of a browser, with cookies and storage of its own."""

    def __init__(self, thread: ThreadPoolExecutor, browser: Browser, *, scripts: bool) -> None:
        self.thread = thread
        self.complaints: list[str] = []  # what the page's scripts threw or logged as errors
        self._open(browser, scripts)

    @_there
    def _open(self, browser: Browser, scripts: bool) -> None:
        self._page = browser.new_page(reduced_motion="reduce", java_script_enabled=scripts)
        self._page.set_default_timeout(WAIT * 1000)
        self._devtools = self._page.context.new_cdp_session(self._page)
        self._page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self._page.on("console", self._note)

    @_there
    def open(self, url: str) -> None:
        """Goes to an address; returns when the page and what belongs to it are loaded."""
        self._page.goto(url)

    @_there
    def reload(self) -> None:
        """Loads it anew."""
        self._page.reload()

    @_there
    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page, awaited if it is a promise."""
        return self._page.evaluate(script)

    @_there
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

    @_there
    def write(self, text: str) -> None:
        """Types a text into what has the focus."""
        self._page.keyboard.insert_text(text)

    @_there
    def press(self, key: str) -> None:
        """Presses a key and lets it go: Enter, Tab or Space."""
        self._page.keyboard.press(key)

    @_there
    def click(self, selector: str) -> None:
        """Clicks on an element, when it can be clicked."""
        self._page.click(selector)

    @_there
    def choose(self, selector: str, *files: Path) -> None:
        """Chooses files, or a folder, as with the dialogue."""
        self._page.set_input_files(selector, files)

    @_there
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

    @_there
    def devtools(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        """The answer to a command of the DevTools protocol, for what is not here."""
        return self._devtools.send(command, arguments)

    @_there
    def close(self) -> None:
        """Ends the page, and what it has stored."""
        self._page.context.close()

    def _network(self, **limits: Any) -> None:
        everything = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.devtools("Network.enable")
        self.devtools("Network.emulateNetworkConditions", {**everything, **limits})

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):  # its own wish
            self.complaints.append(message.text)
