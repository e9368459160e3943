"""The watchdog of a loop: names the handler that holds it up."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable
from itertools import dropwhile
from pathlib import Path
from time import monotonic
from types import FrameType, TracebackType

from firstbyte._lazy import lazy_logger
from firstbyte.http.handler import Endpoint

logger = lazy_logger("firstbyte.engine")

AGAIN = 60.0  # seconds before the same endpoint is named again
PATIENCE = 10.0  # seconds that the watchdog waits for the end of what holds the loop, to tell how long it was
REMEMBERED = 1000  # endpoints whose last mention is remembered


class Watchdog:
    """A thread that asks the loop for an answer, again and again, while it is entered.

    When none comes within `limit` seconds it logs the endpoint that `who` names, how long it held the loop, and the
    stack of the loop's thread as it was then: each endpoint at most once a minute.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: float, who: Callable[[], Endpoint | None]) -> None:
        self._loop = loop
        self._limit = limit
        self._who = who
        self._ended = threading.Event()
        self._answered = threading.Event()
        self._told: dict[str, float] = {}  # by name, when
        self._thread = threading.Thread(target=self._watch, name="firstbyte-watchdog", daemon=True)
        self._watched = 0  # the identifier of the loop's thread

    def __enter__(self) -> Watchdog:
        self._watched = threading.get_ident()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._answered.set()

    def _watch(self) -> None:
        while not self._ended.wait(self._limit / 2):
            self._answered.clear()
            asked = monotonic()
            try:
                self._loop.call_soon_threadsafe(self._answered.set)
            except RuntimeError:
                return  # the loop is closed
            if not self._answered.wait(self._limit):
                self._tell(asked)

    def _tell(self, asked: float) -> None:
        endpoint = self._who()
        frame = sys._current_frames().get(self._watched)
        stack = _shown(frame)
        del frame
        name = "something that is no handler" if endpoint is None else endpoint.name
        now = monotonic()
        if now - self._told.get(name, -AGAIN) < AGAIN:
            return
        if len(self._told) >= REMEMBERED:
            self._told.clear()
        self._told[name] = now
        ended = self._answered.wait(PATIENCE)
        logger.warning(
            "%s has held up the event loop for %.0f ms%s, and every other request with it: let it await, or make it a "
            "plain function\n%s",
            name, (monotonic() - asked) * 1000, "" if ended else ", and still does", stack.rstrip(),
        )  # fmt: skip


def _shown(frame: FrameType | None) -> str:
    """The stack of `frame` above what runs the loop, from where it leaves this package and asyncio; the whole if it
    never does."""
    stack = traceback.extract_stack(frame)
    running = dropwhile(lambda each: each.filename != asyncio.runners.__file__, stack)
    own = (str(Path(__file__).parent.parent), str(Path(asyncio.__file__).parent))
    outside = dropwhile(lambda each: each.filename.startswith(own), running)
    return "".join(traceback.format_list(list(outside) or stack))
