"""Chromium without a window, driven over two pipes by the DevTools protocol: no library, no port."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

import needs

WAIT = 60  # seconds after which a test gives up on something that must come
_OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe about:blank"
)


class Browser:
    """One browser with one page. `profile` is an empty folder of its own."""

    def __init__(self, profile: Path) -> None:
        chromium = needs.program("chromium")
        commands, self._write = os.pipe()
        self._read, answers = os.pipe()
        # It reads commands from descriptor 3 and answers on 4, which only a shell can put where they must be.
        line = f'exec "$0" "$@" 3<&{commands} 4>&{answers}'
        options = [*_OPTIONS.split(), f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(
            ["bash", "-c", line, chromium, *options], pass_fds=(commands, answers), stderr=subprocess.DEVNULL
        )
        os.close(commands)
        os.close(answers)
        self._number = 0
        self._buffer = b""
        self._session: str | None = None
        self.complaints: list[str] = []  # what the page's scripts threw or logged as errors
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its result. Raises RuntimeError for what the browser refuses."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, url: str) -> None:
        """Goes to an address; returns when the page and what belongs to it are loaded."""
        self.call("Page.navigate", url=url)
        self.wait_for(f"location.href.startsWith({json.dumps(url)}) && document.readyState == 'complete'")

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page, awaited if it is a promise."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Returns when an expression is true in the page."""
        until = monotonic() + WAIT
        while monotonic() < until:
            try:
                if self.evaluate(f"new Promise(tell => setTimeout(() => tell(Boolean({condition})), 5))"):
                    return
            except RuntimeError:  # the page went away under the question, to the next one
                pass
        raise AssertionError(f"never true: {condition}\n{self.evaluate('document.body.innerText')}\n{self.complaints}")

    def write(self, text: str) -> None:
        """Types a text into what has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Presses a key and lets it go: Enter, Tab or Space."""
        name, code, text = {"Enter": ("Enter", 13, "\r"), "Tab": ("Tab", 9, ""), "Space": (" ", 32, " ")}[key]
        event = {"key": name, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def look(self, width: int, height: int, *, dark: bool = False, scale: float = 1) -> None:
        """Gives the page a size in CSS pixels and a colour scheme."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.call("Emulation.setEmulatedMedia", features=[scheme, motion])

    def picture(self) -> bytes:
        """What it shows, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """Ends the browser."""
        self._session = None
        try:
            self.call("Browser.close")
            self._process.wait(WAIT)
        except (OSError, AssertionError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert select.select([self._read], [], [], WAIT)[0], "the browser does not answer"
            data = os.read(self._read, 1 << 16)
            assert data, "the browser ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Runtime.exceptionThrown":
            details = event["params"]["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif (
            event.get("method") == "Log.entryAdded"
            and event["params"]["entry"]["level"] == "error"
            and not str(event["params"]["entry"].get("url")).endswith("/favicon.ico")
        ):  # its own wish
            self.complaints.append(event["params"]["entry"]["text"])


@contextmanager
def offline(browser: Browser) -> Iterator[None]:
    """The browser reaches no server meanwhile."""
    limits = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.call("Network.enable")
    browser.call("Network.emulateNetworkConditions", offline=True, **limits)
    yield
    browser.call("Network.emulateNetworkConditions", offline=False, **limits)
