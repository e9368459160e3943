"""`firstbyte chat`: a WebSocket on the terminal, both ways at once."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import termios
import threading
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import click

from firstbyte import client
from firstbyte.cli.chat_terminal import Editor, Screen, describe
from firstbyte.cli.http_call import Call, make_call
from firstbyte.cli.http_items import InvalidItem
from firstbyte.cli.http_run import auth_of
from firstbyte.errors import ClientError, ConfigurationError, InvalidRequest, WebSocketClosed, WebSocketRefused
from firstbyte.http.percent import encode_query, parse_query
from firstbyte.http.url import URL

_USAGE, _NETWORK = 2, 7  # exit codes, as those of the other commands of the client
_UNSENT = 100  # lines that wait to be sent
_LONGEST = 10.0  # seconds between two tries to connect again
_PROMPT = "> "
_TYPING = 4.0  # seconds for which somebody who has pressed a key is said to be typing


def chat(url: str, items: Sequence[str], *, auth: str | None, auth_type: str, **options: Any) -> int:
    """Talks until either end has had enough; returns the exit code."""
    try:
        options["auth"] = None if auth is None else auth_of(auth, auth_type)
        call = make_call("GET", url, items)
        is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        with _key_by_key(is_terminal):
            return asyncio.run(Chat(call, is_terminal).run(options))
    except (InvalidItem, InvalidRequest, ConfigurationError) as error:
        return _fail(error, _USAGE)
    except ClientError as error:
        return _fail(error, _NETWORK)
    except KeyboardInterrupt:
        return 130


class Chat:
    """One conversation, over as many connections as it takes.

    Where the server names its messages, as `firstbyte.rooms` does, it is asked for those that came meanwhile. What was
    typed meanwhile is sent then.
    """

    def __init__(self, call: Call, is_terminal: bool) -> None:
        self._call = call
        self._is_terminal = is_terminal
        self._colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._editor = Editor()
        self._screen = Screen(sys.stdout, is_terminal, self._editor)
        self._last = ""  # the id of the last message
        self._typing: asyncio.TimerHandle | None = None

    async def run(self, options: dict[str, Any]) -> int:
        """See `chat`. Raises ClientError where the first connection does not come about."""
        self._lines: asyncio.Queue[str] = asyncio.Queue(_UNSENT)
        self._keys: asyncio.Queue[bytes] = asyncio.Queue(4)
        typed = asyncio.create_task(self._type())
        threading.Thread(target=self._read_keys, args=(asyncio.get_running_loop(),), daemon=True).start()
        try:
            async with client.AsyncSession(headers=self._call.headers, **options) as session:
                failures = 0
                while True:
                    try:
                        async with session.websocket(self._url()) as ws:
                            failures = 0
                            if await self._talk(ws, typed):
                                return 0
                    except (ClientError, WebSocketClosed) as error:
                        if not self._goes_on(error):
                            raise
                        if not failures:
                            self._screen.show([f"· {error}; connecting again …"])
                    if typed.done():
                        return 0
                    failures += 1
                    await asyncio.sleep(min(_LONGEST, 0.2 * 2**failures) * random.uniform(0.6, 1))  # noqa: S311
        except WebSocketClosed as error:
            self._screen.show([f"· {error}"])
            return 0 if error.code in (1000, 1001, 1005) else _NETWORK
        finally:
            typed.cancel()
            self._screen.clear()

    async def _talk(self, ws: client.AsyncWebSocket, typed: asyncio.Task[None]) -> bool:
        """Both ways until there is nothing more to say: True, or the server ends it: WebSocketClosed."""
        tasks = [asyncio.create_task(each) for each in (self._hear(ws), self._say(ws))]
        try:
            await asyncio.wait({typed, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            if typed.done() and not any(task.done() for task in tasks):
                typed.result()
                await asyncio.wait({asyncio.create_task(self._lines.join()), *tasks}, return_when="FIRST_COMPLETED")
                return True
            for task in tasks:
                if task.done():
                    task.result()
            return False
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _hear(self, ws: client.AsyncWebSocket) -> None:
        while True:
            shown = describe(await ws.receive(), self._colour)
            self._last = shown.id or self._last
            if shown.typing:
                self._show_typing(shown.typing)
            else:
                self._screen.show(shown.lines, _PROMPT if shown.id else None)  # who has sent it types no more

    async def _say(self, ws: client.AsyncWebSocket) -> None:
        while True:
            line = await self._lines.get()
            try:
                await ws.send(line)
            except (WebSocketClosed, asyncio.CancelledError):
                self._lines.put_nowait(line)  # there was room for it; for the next connection
                raise
            finally:
                self._lines.task_done()

    async def _type(self) -> None:
        """Makes lines of keys, until nothing more is typed."""
        self._screen.draw()
        while not self._editor.is_over:
            data = await self._keys.get()
            lines = self._editor.feed(data) if data else [self._editor.end()]
            for line in filter(None, lines):
                await self._lines.put(line)
            self._screen.draw()
            if not data:
                return

    def _read_keys(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread, which waits where a loop could not: for a terminal, a pipe or a file."""
        data = b"?"
        try:
            while data:
                data = os.read(sys.stdin.fileno(), 4096)
                asyncio.run_coroutine_threadsafe(self._keys.put(data), loop).result()
        except (OSError, RuntimeError):
            pass  # the terminal is gone, or the loop has ended

    def _show_typing(self, name: str) -> None:
        if self._typing is not None:
            self._typing.cancel()
        self._screen.draw(f"{name} is typing > ")
        self._typing = asyncio.get_running_loop().call_later(_TYPING, self._screen.draw, _PROMPT)

    def _url(self) -> URL:
        """The address, from the last message on if there was one."""
        url = self._call.url
        if not self._last:
            return url
        fields = [(name, value) for name, value in parse_query(url.query).items() if name != "after"]
        return replace(url, query=encode_query([*fields, ("after", self._last)]))

    def _goes_on(self, error: ClientError | WebSocketClosed) -> bool:
        """Whether to connect again: not where the first time has failed, or the server does not want it."""
        if isinstance(error, WebSocketClosed):
            return error.code in (1001, 1006, 1011, 1012, 1013)
        if not self._last:
            return False
        return not isinstance(error, WebSocketRefused) or error.response.status >= 500


@contextmanager
def _key_by_key(is_terminal: bool) -> Iterator[None]:
    """Has the terminal give each key at once and show none by itself, as it did before when this ends."""
    if not is_terminal:
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _fail(error: Exception, code: int) -> int:
    click.secho(f"firstbyte: {error}", err=True, fg="red" if sys.stderr.isatty() else None)
    return code
