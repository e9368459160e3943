"""WebSockets whose peer breaks rules, overdoes it, or is not there any more: how each ends, with others unharmed."""

from __future__ import annotations

import socket
import threading
import zlib
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from engine.support import WAIT, Client, Running, Serve
from engine.websocket_support import LOOPS, Connect, add_echo, close_code, echo_app, frames, raw
from firstbyte import App
from firstbyte.errors import WebSocketClosed
from firstbyte.websocket import SyncWebSocket, WebSocket
from firstbyte.wire.websocket.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode_frame
from firstbyte.wire.websocket.limits import MessageLimits

KEY = b"\x37\xfa\x21\x3d"
LIMIT = 100_000
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n"


def frame(opcode: int, payload: bytes = b"", fin: bool = True, compressed: bool = False) -> bytes:
    """A client's frame."""
    return encode_frame(opcode, payload, KEY, fin, compressed)


def bomb(megabytes: int) -> bytes:
    """As many of zeros, deflated. What a full flush ends can be repeated, so that one is squeezed and not fifty."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -9)
    one = squeeze.compress(bytes(1_000_000)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    return (one * megabytes).removesuffix(b"\x00\x00\xff\xff")


def fragmented(payload: bytes, size: int) -> bytes:
    """A compressed message in fragments that never ends."""
    first, *more = (payload[at : at + size] for at in range(0, len(payload), size))
    return frame(BINARY, first, False, True) + b"".join(frame(CONTINUATION, each, False) for each in more)


@pytest.fixture
def driver(kind: str) -> str:
    return LOOPS[kind]


@pytest.fixture
def app(is_async: bool) -> App:
    return echo_app(is_async, limits=MessageLimits(LIMIT, LIMIT))


class Bystander:
    """One who has nothing to do with it, on the same server."""

    def __init__(self, ws: ClientConnection) -> None:
        self._ws = ws

    def is_well(self) -> bool:
        self._ws.send("are you there?")
        return self._ws.recv(WAIT) == "are you there?"


@pytest.fixture
def running(app: App, serve: Serve) -> Running:
    return serve(app, write=0.3)


@pytest.fixture
def bystander(running: Running, stay: Connect) -> Iterator[Bystander]:
    bystander = Bystander(stay(running))
    assert bystander.is_well()
    yield bystander
    assert bystander.is_well()
    assert running.client().get("/").read()[2] == b"hello"


OFFENCES = {
    "unmasked": (encode_frame(TEXT, b"hello"), 1002),
    "an unmasked ping": (encode_frame(PING, b""), 1002),
    "the first reserved bit of what is not compressed": (frame(PING, b"x", compressed=True), 1002),
    "the second reserved bit": (b"\xa1" + frame(TEXT, b"x")[1:], 1002),
    "the third reserved bit": (b"\x91" + frame(TEXT, b"x")[1:], 1002),
    "a reserved opcode for data": (frame(3), 1002),
    "a reserved opcode for control": (frame(11), 1002),
    "a ping in fragments": (frame(PING, b"x", fin=False), 1002),
    "a ping of 126 bytes": (frame(PING, bytes(126)), 1002),
    "a length of 7 bits in 16": (b"\x81\xfe\x00\x05" + KEY + b"hello", 1002),
    "a length of 16 bits in 64": (b"\x82\xff" + (500).to_bytes(8, "big") + KEY + bytes(500), 1002),
    "a length of 64 bits": (b"\x82\xff" + b"\xff" * 8, 1002),
    "a continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "a message within another": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    "a frame beyond the limit": (b"\x82\xff" + (LIMIT + 1).to_bytes(8, "big") + KEY, 1009),
    "fragments beyond the limit": (
        frame(BINARY, bytes(LIMIT), fin=False) + frame(CONTINUATION, b"x"), 1009,
    ),
    "text that is not UTF-8": (frame(TEXT, b"\xff"), 1007),
    "text that is not UTF-8, within its message": (frame(TEXT, b"abc\xc0", fin=False), 1007),
    "text that ends within a character": (frame(TEXT, b"\xce", fin=False) + frame(CONTINUATION, b""), 1007),
    "a surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "half a close code": (frame(CLOSE, b"\x03"), 1002),
    "a close code that is never sent": (frame(CLOSE, (1006).to_bytes(2, "big")), 1002),
    "a close reason that is not UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "what is no DEFLATE stream": (frame(BINARY, b"\xff" * 20, compressed=True), 1007),
    "a bomb": (frame(BINARY, bomb(50), compressed=True), 1009),
    "a bomb in fragments": (fragmented(bomb(5), 100), 1009),
}  # fmt: skip


@pytest.mark.parametrize("offence", OFFENCES)
def test_who_breaks_a_rule_is_told_so_and_closed(running: Running, bystander: Bystander, offence: str) -> None:
    data, code = OFFENCES[offence]
    client = raw(running, fields=DEFLATE)
    client.send(data)
    assert close_code(client) == code


def test_what_comes_behind_an_offence_counts_no_more(running: Running, bystander: Bystander) -> None:
    client = raw(running)
    client.send(frame(TEXT, b"first") + encode_frame(TEXT, b"unmasked") + frame(TEXT, b"second") * 1000)
    first, (opcode, payload) = frames(client.rest())
    assert first == (TEXT, b"first")
    assert (opcode, payload[:2]) == (CLOSE, (1002).to_bytes(2, "big"))


def test_one_byte_at_a_time(running: Running, bystander: Bystander) -> None:
    client = raw(running)
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in frame(TEXT, "κόσμε".encode(), fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"!") + frame(CLOSE):
        client.send(bytes((byte,)))
    assert frames(client.rest()) == [(PONG, b"p"), (TEXT, "κόσμε!".encode()), (CLOSE, b"")]


# -- peers that do not read, or do not write


MUCH = 64 << 20  # more than the kernel and the server hold for a peer


def pushed(client: Client, data: bytes) -> int:
    """How many bytes a peer that reads nothing can push until it is cut; no more than MUCH are tried."""
    total = 0
    try:
        while total < MUCH:
            total += client.sock.send(data[total % len(data) :])
    except ConnectionError:
        pass  # cut
    return total


@pytest.mark.parametrize("message", [frame(PING, bytes(125)) * 500, frame(BINARY, bytes(60_000))])
def test_who_sends_and_does_not_read_is_cut(running: Running, bystander: Bystander, message: bytes) -> None:
    """A flood of pings, and a slow reader: what is to be sent to them is bounded, and so is how long that may wait."""
    client = raw(running)
    assert pushed(client, message) < MUCH
    assert bystander.is_well()
    (_, reason), *_ = running.recorder.wait_for("closed")
    assert reason == "writing timeout"


def test_a_flood_of_pings_is_answered_in_order(running: Running, bystander: Bystander) -> None:
    client = raw(running)
    count = 20_000
    sender = threading.Thread(
        target=client.send, args=(b"".join(frame(PING, b"%d" % number) for number in range(count)) + frame(CLOSE),)
    )
    sender.start()
    assert bystander.is_well()
    *pongs, (last, _) = frames(client.rest())
    sender.join(WAIT)
    assert pongs == [(PONG, b"%d" % number) for number in range(count)]
    assert last == CLOSE


def test_a_peer_that_shuts_its_end_without_a_close(is_async: bool, app: App, serve: Serve) -> None:
    """Nobody can be told; the handler is."""
    codes: list[int] = []
    told = threading.Event()
    if is_async:

        @app.websocket("/half")
        async def ahalf(ws: WebSocket) -> None:
            try:
                await ws.receive()
            except WebSocketClosed as error:
                codes.append(error.code)
                told.set()

    else:

        @app.websocket("/half")
        def half(ws: SyncWebSocket) -> None:
            try:
                ws.receive()
            except WebSocketClosed as error:
                codes.append(error.code)
                told.set()

    running = serve(app)
    client = raw(running, "/half")
    client.send(frame(TEXT, b"not yet all", fin=False))
    client.sock.shutdown(socket.SHUT_WR)
    assert client.closed()
    assert told.wait(WAIT)
    assert codes == [1006]


def test_a_peer_that_does_not_answer_our_close(is_async: bool, app: App, serve: Serve) -> None:
    if is_async:

        @app.websocket("/closes", close_timeout=0.1)
        async def acloses(ws: WebSocket) -> None:
            await ws.close(4000)

    else:

        @app.websocket("/closes", close_timeout=0.1)
        def closes(ws: SyncWebSocket) -> None:
            ws.close(4000)

    running = serve(app)
    client = raw(running, "/closes")
    assert close_code(client) == 4000
    ((_, reason),) = running.recorder.wait_for("closed")
    assert reason == "close timeout"


def test_a_slow_handler_is_no_silent_peer(is_async: bool, app: App, serve: Serve) -> None:
    """While nothing is read, what the peer says cannot be heard: it is not given up for that."""
    go_on = threading.Event()
    if is_async:

        @app.websocket("/slow", ping_interval=0.05, ping_timeout=0.05)
        async def aslow(ws: WebSocket) -> None:
            import asyncio

            await asyncio.to_thread(go_on.wait, WAIT)
            async for message in ws:
                await ws.send(message)

    else:

        @app.websocket("/slow", ping_interval=0.05, ping_timeout=0.05)
        def slow(ws: SyncWebSocket) -> None:
            go_on.wait(WAIT)
            for message in ws:
                ws.send(message)

    running = serve(app, head_timeout=0.1)  # which makes the server look at deadlines often
    client = raw(running, "/slow")
    client.send(frame(TEXT, b"x") * 100)
    client.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        while client.more():  # a ping, before it was full
            pass
    client.sock.settimeout(WAIT)
    go_on.set()
    client.send(frame(CLOSE))
    assert [payload for opcode, payload in frames(client.rest()) if opcode == TEXT] == [b"x"] * 100


def test_who_has_read_all_is_read_again(is_async: bool, serve: Serve, stay: Connect) -> None:
    """Where a sender had to wait for its peer, and did not have to in the end."""
    app = App()
    add_echo(app, is_async, limits=MessageLimits(1 << 24, 1 << 24), deflate=None, ping_interval=None)
    ws = stay(serve(app), max_size=None)
    for size in (1 << 23, 1 << 22, 1 << 21, 1 << 20) * 3:
        ws.send(bytes(size))
        assert len(ws.recv(WAIT)) == size
    ws.close()
    with pytest.raises(ConnectionClosed):
        ws.recv(WAIT)
    assert ws.close_code == 1000
