"""examples/chat.py, from end to end: two pages in browsers and a terminal, over two workers and a real Redis."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from browsing import Chromium, Page
from cli.terminal import Terminal
from engine.supervised import Supervised, supervised
from firstbyte import client
from firstbyte.errors import WebSocketClosed
from rooms.support import Heard, Redis, running_redis, wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAM = f"import sys\nsys.path.insert(0, {str(EXAMPLES)!r})\nfrom chat import app\n"

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.needs("redis-server")]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with running_redis(folder) as redis:
        monkeypatch.setenv("CHAT_REDIS", redis.url)
        yield redis


def joined(stack: ExitStack, chromium: Chromium, port: int, nick: str) -> Page:
    """A page that has joined the lobby."""
    page = stack.enter_context(chromium.page())
    page.open(f"http://127.0.0.1:{port}/")
    page.write(nick)
    page.press("Enter")
    page.wait_for(f"document.querySelector('#present').textContent.includes('{nick} (you)')")
    page.wait_for("document.querySelector('#state').hidden")
    return page


def say(page: Page, text: str) -> None:
    page.evaluate("document.querySelector('textarea').focus()")
    page.write(text)
    page.press("Enter")


def texts(page: Page) -> list[str]:
    found: list[str] = page.evaluate("[...document.querySelectorAll('.message .text')].map(e => e.textContent)")
    return found


def hears(page: Page, text: str) -> None:
    said = json.dumps(text)
    page.wait_for(f"[...document.querySelectorAll('.message:not(.waiting) .text')].some(e => e.textContent === {said})")


def terminal(stack: ExitStack, port: int, nick: str) -> Terminal:
    command = [sys.executable, "-m", "firstbyte", "chat", f":{port}/rooms/lobby", f"nick=={nick}"]
    terminal: Terminal = stack.enter_context(Terminal(command))
    terminal.wait_for("here:")
    return terminal


def spread(redis: Redis, server: Supervised, stack: ExitStack) -> None:
    """Returns when members are in both workers; who is in which is the kernel's choice."""
    for number in range(30):
        entries: list[bytes] = redis.ask("ZRANGE", "firstbyte:{lobby}:members", 0, -1)
        if len({entry.partition(b":")[0] for entry in entries}) == 2:
            return
        url = f"ws://127.0.0.1:{server.port}/rooms/lobby?nick=guest{number}"
        Heard(stack.enter_context(client.websocket(url))).next()
    raise AssertionError("one worker has all")


def test_two_pages_and_a_terminal_over_two_workers(
    redis: Redis, chromium: Chromium, tmp_path: Path, stack: ExitStack
) -> None:
    server = stack.enter_context(supervised(tmp_path, program=PROGRAM))
    ann = joined(stack, chromium, server.port, "Ann")
    bob = joined(stack, chromium, server.port, "Bob")
    eve = terminal(stack, server.port, "Eve")
    spread(redis, server, stack)
    for page in (ann, bob):
        page.wait_for("['Ann', 'Bob', 'Eve'].every(n => document.querySelector('#present').innerText.includes(n))")

    say(ann, "Is there tea?")
    hears(bob, "Is there tea?")
    eve.wait_for("Ann: Is there tea?")
    eve.type("half a ")
    eve.wait_for("> half a ")
    say(bob, "<b>Plenty</b>, & milk")
    hears(ann, "<b>Plenty</b>, & milk")
    eve.wait_for("Bob: <b>Plenty</b>, & milk")
    eve.wait_for_line("> half a ")
    eve.type("cup\r")
    for page in (ann, bob):
        hears(page, "half a cup")
        assert texts(page) == ["Is there tea?", "<b>Plenty</b>, & milk", "half a cup"]

    bob.evaluate("document.querySelector('textarea').focus()")
    bob.write("I am")
    ann.wait_for("document.querySelector('#typing').textContent === 'Bob is typing …'")
    eve.wait_for("Bob is typing > ")

    ann.evaluate("location.hash = 'tea'")
    eve.wait_for("Ann has left")
    bob.wait_for("!document.querySelector('#present').innerText.includes('Ann')")
    ann.wait_for("document.querySelector('#title').textContent === '# tea'")
    ann.wait_for("document.querySelectorAll('.message').length === 0")
    assert eve.end("\x04") == 0
    bob.wait_for("!document.querySelector('#present').innerText.includes('Eve')")
    assert ann.complaints == bob.complaints == []


def test_a_restart_of_the_server_loses_nothing(
    redis: Redis, chromium: Chromium, tmp_path: Path, stack: ExitStack
) -> None:
    with supervised(tmp_path, program=PROGRAM) as server:
        port = server.port
        ann = joined(stack, chromium, port, "Ann")
        eve = terminal(stack, port, "Eve")
        say(ann, "before")
        eve.wait_for("Ann: before")
        ann.evaluate("typing.set('Eve', Date.now() + 60000), drawTyping()")
        ann.wait_for("document.querySelector('#typing').textContent === 'Eve is typing …'")
        assert server.stop() == 0
    ann.wait_for("!document.querySelector('#state').hidden")
    assert ann.evaluate("document.querySelector('#typing').textContent") == ""
    eve.wait_for("connecting again")
    say(ann, "while nobody listened")
    eve.type("so did I\r")
    with supervised(tmp_path, "--port", str(port), program=PROGRAM):
        ann.wait_for("document.querySelector('#state').hidden")
        hears(ann, "while nobody listened")
        hears(ann, "so did I")
        eve.wait_for("Ann: while nobody listened")
        eve.wait_for("Eve: so did I")
        assert sorted(texts(ann)) == ["before", "so did I", "while nobody listened"]
        assert eve.text().count("Ann: before") == 1
        bob = joined(stack, chromium, port, "Bob")  # who comes now sees all of it
        hears(bob, "before")
        wait_until(lambda: sorted(texts(bob)) == ["before", "so did I", "while nobody listened"])


def test_names_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAT_REDIS", raising=False)
    with supervised(tmp_path, program=PROGRAM) as server:
        for nick in ("", "x" * 25, "%0A"):
            url = f"ws://127.0.0.1:{server.port}/rooms/lobby?nick={nick}"
            with client.websocket(url) as ws, pytest.raises(WebSocketClosed, match="1008 names have"):
                ws.receive()
