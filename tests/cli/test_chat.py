"""`firstbyte chat`: keys, what is shown, and both at once on a real terminal."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from cli.terminal import Terminal
from engine.support import WAIT, Running, Serve
from firstbyte import App, HTTPError
from firstbyte.cli.chat_terminal import MAX_LINE, Editor, Screen, describe, width
from firstbyte.rooms import Rooms
from firstbyte.websocket import SyncWebSocket

# -- keys


@pytest.mark.parametrize(
    ("keys", "lines", "rest"),
    [
        (b"hello\r", ["hello"], ""),
        (b"a\nb\r\nc", ["a", "b"], "c"),
        ("κόσμε\r".encode(), ["κόσμε"], ""),
        (b"ab\x7fc\r", ["ac"], ""),
        (b"\x7f\x7fa\r", ["a"], ""),
        (b"bc\x1b[D\x1b[Da\r", ["abc"], ""),
        (b"ac\x1bODb\x1b[Cd\r", ["abcd"], ""),
        (b"bc\x01a\x05d\r", ["abcd"], ""),
        (b"bc\x1b[Ha\x1b[Fd\r", ["abcd"], ""),
        (b"one two\x17three\r", ["one three"], ""),
        (b"one two  \x17\x17\r", [""], ""),
        (b"gone\x15kept\r", ["kept"], ""),
        (b"kept\x1b[D\x1b[D\x0b\r", ["ke"], ""),
        (b"abc\x1b[D\x1b[D\x1b[3~\r", ["ac"], ""),
        (b"one\rtwo\r\x1b[A\x1b[A\r\x1b[A!", ["one", "two", "one"], "one!"),
        (b"one\r\x1b[A\x1b[A\x1b[B\x1b[B", ["one"], ""),
        (b"\x1b[15~\x1bx\x02a\x04b\r", ["ab"], ""),  # keys that do nothing here
        (b"a\x00\x1b[200~b\x1b[201~\r", ["ab"], ""),
        (b"x" * (MAX_LINE + 5) + b"\r", ["x" * MAX_LINE], ""),
    ],
)
@pytest.mark.parametrize("one_by_one", [False, True])
def test_keys(keys: bytes, lines: list[str], rest: str, one_by_one: bool) -> None:
    editor = Editor()
    pieces = [keys[at : at + 1] for at in range(len(keys))] if one_by_one else [keys]
    got = [line for piece in pieces for line in editor.feed(piece)]
    if not one_by_one or b"\r\n" not in keys:  # else the LF ends a line of its own, which is not sent
        assert got == lines
    assert [line for line in got if line] == [line for line in lines if line]
    assert editor.text == rest
    assert not editor.is_over


def test_ctrl_d_ends_an_empty_line_alone() -> None:
    editor = Editor()
    assert editor.feed(b"a\x04") == []
    assert not editor.is_over
    assert editor.feed(b"\x7f\x04more\r") == []
    assert editor.is_over


# -- what is shown


@pytest.mark.parametrize(
    ("message", "lines", "id_", "typing"),
    [
        ("hello", ["hello"], "", ""),
        ("", [""], "", ""),
        ("two\nlines", ["two", "lines"], "", ""),
        ("[1]", ["[1]"], "", ""),
        ('{"a": 1}', ['{"a": 1}'], "", ""),
        (b"\x00\x01", ["(2 bytes)"], "", ""),
        ('{"present": ["a", "b"], "missed": false}', ["· here: a, b"], "", ""),
        ('{"present": [], "missed": true}', ["· here: ", "· some of what was said is not kept any more"], "", ""),
        ('{"missed": 3}', ["· some of what was said is not kept any more"], "", ""),
        ('{"history": 0, "missed": false}', [], "", ""),
        ('{"joined": "a"}', ["· a is here"], "", ""),
        ('{"left": "a"}', ["· a has left"], "", ""),
        ('{"data": {"typing": "a"}}', [], "", "a"),
        ('{"id": "x-0", "data": {"from": "a", "text": "b\\nc"}}', ["HH:MM a: b", "         c"], "x-0", ""),
        ('{"id": "5-1", "data": [1]}', ["[1]"], "5-1", ""),
    ],
)
def test_what_a_message_comes_to(message: str | bytes, lines: list[str], id_: str, typing: str) -> None:
    shown = describe(message, False)
    clock = time.strftime("%H:%M", time.localtime(0))
    assert list(shown.lines) == [line.replace("HH:MM", clock) for line in lines]
    assert (shown.id, shown.typing) == (id_, typing)


@pytest.mark.parametrize(
    "message",
    [
        "\x1b[2Jgone",
        '{"joined": "\\u001b[2J"}',
        '{"data": {"typing": "\\u001b[2J"}}',
        '{"id": "1-0", "data": {"from": "\\u001b]0;x\\u0007", "text": "\\u009b2J"}}',
        '{"id": "1-0", "data": "\\u001b"}',
        '{"present": ["\\r\\u001b[A"]}',
    ],
)
def test_nothing_that_comes_is_obeyed_by_the_terminal(message: str) -> None:
    shown = describe(message, False)
    assert not any(letter in "".join(shown.lines) + shown.typing for letter in "\x1b\x07\x9b\r")


def test_widths() -> None:
    assert [width(text) for text in ("abc", "日本", "e\u0301", "")] == [3, 4, 1, 0]


def test_a_stream_gets_the_lines_alone() -> None:
    out = io.StringIO()
    screen = Screen(out, False, Editor())
    screen.show(["one", "two"])
    screen.draw("? ")
    screen.clear()
    assert out.getvalue() == "one\ntwo\n"


# -- the command


@pytest.fixture
def running(serve: Serve) -> Running:
    app = App()
    rooms = Rooms()

    @app.websocket("/rooms/{name}")
    def chat(ws: SyncWebSocket, name: str, nick: str, after: str = "") -> None:
        with rooms[name].join(ws, nick, after=after) as room:
            for message in ws:
                if message == "!cut":
                    ws.close(1013)
                room.send_all({"from": nick, "text": message})

    @app.websocket("/plain")
    def plain(ws: SyncWebSocket) -> None:
        for message in ws:
            ws.send(f"you said {message!r}")
            if message == "bye":
                ws.close()

    @app.websocket("/closed")
    def closed(ws: SyncWebSocket) -> None:
        ws.close(4000, "not today")

    @app.get("/no")
    def no() -> None:
        raise HTTPError(403, "members only")

    return serve(app)


def command(running: Running, path: str, *items: str) -> list[str]:
    return [sys.executable, "-m", "firstbyte", "chat", f"ws://127.0.0.1:{running.server.port}{path}", *items]


@pytest.fixture
def terminals() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_both_ways_at_once(running: Running, terminals: ExitStack) -> None:
    ann = terminals.enter_context(Terminal(command(running, "/rooms/tea", "nick==ann")))
    ann.wait_for("ann is here")
    bob = terminals.enter_context(Terminal(command(running, "/rooms/tea?nick=bob")))
    ann.wait_for("bob is here")
    ann.type("half a sen")
    ann.wait_for("> half a sen")
    bob.type("Hello!\r")
    ann.wait_for("bob: Hello!")
    ann.wait_for_line("> half a sen")  # what is typed stays below what has come
    ann.type("tence\r")
    bob.wait_for("ann: half a sentence")
    bob.wait_for("> ")
    assert ann.wait_for("ann: half a sentence")
    assert bob.end("\x04") == 0
    ann.wait_for("bob has left")
    assert ann.end("\x03") == 130


def test_what_was_said_meanwhile_comes_after_a_break(running: Running, terminals: ExitStack) -> None:
    ann = terminals.enter_context(Terminal(command(running, "/rooms/tea", "nick==ann")))
    ann.wait_for("ann is here")
    bob = terminals.enter_context(Terminal(command(running, "/rooms/tea", "nick==bob")))
    ann.wait_for("bob is here")
    bob.type("first\r")
    ann.wait_for("bob: first")
    ann.type("!cut\r")
    ann.wait_for("connecting again")
    bob.type("second\r")
    ann.wait_for("bob: second")
    assert ann.text().count("bob: first") == 1


def test_a_narrow_terminal(running: Running, terminals: ExitStack) -> None:
    ann = terminals.enter_context(Terminal(command(running, "/plain"), columns=20))
    ann.wait_for("> ")
    ann.type("0123456789" * 5)
    ann.wait_for("> 34567890123456789")
    ann.type("\r")
    ann.wait_for("you said")


def test_through_a_pipe(running: Running) -> None:
    done = subprocess.run(
        command(running, "/plain"), input="one\ntwo\nbye", capture_output=True, text=True, timeout=WAIT, check=False
    )
    assert done.returncode == 0, done.stderr
    heard = ["you said 'one'", "you said 'two'", "you said 'bye'", "· the WebSocket is closed: 1000"]
    lines = done.stdout.splitlines()
    assert lines == heard[: len(lines)]  # either end may be the first to close


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("/closed", 7, "4000 not today"),
        ("/no", 7, "403"),
        ("/nothing", 7, "404"),
        ("/no k=v", 2, "no body"),
    ],
)
def test_what_goes_wrong(running: Running, path: str, code: int, said: str) -> None:
    path, *items = path.split()
    with subprocess.Popen(
        command(running, path, *items),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.wait(WAIT) == code
        assert process.stdout is not None
        assert said in process.stdout.read()


def test_nobody_there() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # and nobody listens
        done = subprocess.run(
            [sys.executable, "-m", "firstbyte", "chat", f":{sock.getsockname()[1]}/x"],
            capture_output=True, text=True, timeout=WAIT, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    assert done.returncode == 7
    assert "Connection refused" in done.stderr
