"""How WebSockets of the client end: who closes, who breaks a rule, who is silent, and who is slow."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from contextlib import suppress
from typing import Any

import pytest

from client.support import WAIT, MakeFace, MakeRaw, read_request
from client.websocket_support import listen, shaking, until_end
from firstbyte import client
from firstbyte.errors import WebSocketClosed
from firstbyte.wire.websocket.deflate import Deflate
from firstbyte.wire.websocket.events import BinaryMessage, Closed, Pong, TextMessage
from firstbyte.wire.websocket.frames import CLOSE, PING, PONG, TEXT, encode_frame
from firstbyte.wire.websocket.handshake import accept_value
from firstbyte.wire.websocket.limits import MessageLimits
from firstbyte.wire.websocket.protocol import Connection

# -- how it ends


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4000])
def test_the_server_closes(chat_url: str, face: MakeFace, code: int) -> None:
    with face().websocket(f"{chat_url}/close?code={code}") as ws:
        if code in (1000, 1001):
            assert ws.each() == ["first"]
        else:
            assert ws.receive() == "first"
            with pytest.raises(WebSocketClosed):
                ws.each()
        with pytest.raises(WebSocketClosed) as raised:
            ws.send("more")
        assert (raised.value.code, raised.value.reason) == (code, "as asked")
        assert (ws.close_code, ws.close_reason) == (code, "as asked")


@pytest.mark.parametrize(
    ("last", "code"),
    [(encode_frame(CLOSE, b"\x0f\xa0"), 4000), (encode_frame(CLOSE, b"x"), 1002)],
    ids=["close", "fault"],
)
def test_what_is_owed_is_sent_before_the_close_is_answered(
    raw: MakeRaw, face: MakeFace, last: bytes, code: int
) -> None:
    heard: queue.Queue[bytes] = queue.Queue()

    def speak(sock: socket.socket, key: str) -> None:
        sock.sendall(encode_frame(TEXT, b"question") + last)
        heard.put(until_end(sock))

    with face().websocket(raw(shaking(speak)).url, close_timeout=0.5) as ws:
        assert ws.receive() == "question"
        ws.send("answer")
        with pytest.raises(WebSocketClosed):
            ws.receive()
        assert ws.close_code == code
    answer, close = Connection(False).receive_data(heard.get(timeout=WAIT))
    assert answer == TextMessage("answer") and isinstance(close, Closed) and close.code == code


def test_a_program_at_work_leaves_no_close_unanswered(raw: MakeRaw) -> None:
    heard: queue.Queue[bytes] = queue.Queue()

    def speak(sock: socket.socket, key: str) -> None:
        sock.sendall(encode_frame(CLOSE, b"\x03\xe8"))
        heard.put(sock.recv(100))

    with client.websocket(raw(shaking(speak)).url, close_timeout=5.0):
        assert isinstance(Connection(False).receive_data(heard.get(timeout=WAIT))[0], Closed)  # after GRACE


def test_a_block_that_raises_closes_with_1001(raw: MakeRaw, face: MakeFace) -> None:
    heard: list[bytes] = []

    def speak(sock: socket.socket, key: str) -> None:
        heard.append(sock.recv(65536))

    server = raw(shaking(speak))
    with pytest.raises(ZeroDivisionError), face().websocket(server.url):
        raise ZeroDivisionError
    assert Connection(False).receive_data(heard[0])[0].code == 1001  # type: ignore[union-attr]


def test_a_connection_that_is_cut(raw: MakeRaw, face: MakeFace) -> None:
    def speak(sock: socket.socket, key: str) -> None:
        sock.sendall(encode_frame(TEXT, b"first") + encode_frame(TEXT, b"second")[:3])

    with face().websocket(raw(shaking(speak)).url) as ws:
        assert ws.receive() == "first"
        with pytest.raises(WebSocketClosed, match="1006 the connection was cut without"):
            ws.each()
        assert ws.close_code == 1006


def test_what_comes_with_the_answer_is_read(raw: MakeRaw, face: MakeFace) -> None:
    def answer(sock: socket.socket) -> None:
        key = read_request(sock).decode().partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
        head = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept_value(key)}\r\n\r\n"
        sock.sendall(
            f"HTTP/1.1 101 OK\r\n{head}".encode() + encode_frame(TEXT, b"first") + encode_frame(CLOSE, b"\x03\xe8")
        )
        until_end(sock)

    with face().websocket(raw(answer).url, close_timeout=0.05) as ws:
        assert ws.each() == ["first"]


COMPRESSED = "Sec-WebSocket-Extensions: permessage-deflate\r\n"


def bomb(size: int) -> bytes:
    compressor = Deflate().compressor(False)
    assert compressor is not None
    return compressor.compress(bytes(size), True)


@pytest.mark.parametrize(
    ("data", "more", "code", "said"),
    [
        (encode_frame(TEXT, b"x", b"abcd"), "", 1002, "masked"),
        (encode_frame(TEXT, b"x", compressed=True), "", 1002, "reserved bit"),
        (b"\xa1\x01x", "", 1002, "reserved bit"),
        (b"\x91\x01x", COMPRESSED, 1002, "reserved bit"),
        (encode_frame(PING, b"", compressed=True), COMPRESSED, 1002, "reserved bit"),
        (encode_frame(TEXT, b"x", fin=False) + encode_frame(0, b"", compressed=True), COMPRESSED, 1002, "reserved bit"),
        (encode_frame(3, b""), "", 1002, "3 is no opcode"),
        (encode_frame(11, b""), "", 1002, "11 is no opcode"),
        (b"\x81\x7e\x00\x7d", "", 1002, "more than it needs"),
        (b"\x82\x7f" + (0xFFFF).to_bytes(8, "big"), "", 1002, "more than it needs"),
        (b"\x82\x7f" + (1 << 63).to_bytes(8, "big"), "", 1002, "first bit of a length"),
        (encode_frame(PING, b"", fin=False), "", 1002, "fragmented"),
        (encode_frame(CLOSE, b"", fin=False), "", 1002, "fragmented"),
        (encode_frame(PING, b"x" * 126), "", 1002, "longer than 125 bytes"),
        (encode_frame(0, b"x"), "", 1002, "continuation"),
        (encode_frame(TEXT, b"x", fin=False) + encode_frame(TEXT, b"x"), "", 1002, "before the one before has ended"),
        (encode_frame(CLOSE, b"\x03"), "", 1002, "half a code"),
        (encode_frame(CLOSE, b"\x03\xee"), "", 1002, "1006 is no code"),
        (encode_frame(TEXT, b"\xff"), "", 1007, "UTF-8"),
        (encode_frame(CLOSE, b"\x03\xe8\xff"), "", 1007, "UTF-8"),
        (encode_frame(TEXT, b"\xff\xff", compressed=True), COMPRESSED, 1007, "decompressed"),
        (encode_frame(TEXT, b"x" * 101), "", 1009, "longer than 100 bytes"),
        (encode_frame(TEXT, b"x" * 60, fin=False) + encode_frame(0, b"x" * 60), "", 1009, "longer than 100 bytes"),
        (b"\x81\x7f" + (1 << 40).to_bytes(8, "big"), "", 1009, "longer than 1000 bytes"),
        (encode_frame(2, bomb(101), compressed=True), COMPRESSED, 1009, "decompressed"),
        (encode_frame(2, bomb(500_000), compressed=True), COMPRESSED, 1009, "decompressed"),
    ],
)
def test_a_server_that_breaks_a_rule(
    raw: MakeRaw, face: MakeFace, data: bytes, more: str, code: int, said: str
) -> None:
    heard: list[bytes] = []

    def speak(sock: socket.socket, key: str) -> None:
        sock.sendall(data)
        heard.append(sock.recv(65536))

    with face().websocket(raw(shaking(speak, more)).url, limits=MessageLimits(100, 1000)) as ws:
        with pytest.raises(WebSocketClosed, match=f"{code} .*{said}") as raised:
            ws.each()
        assert raised.value.code == code
        assert ws.close_code == code
    (closed,) = Connection(False).receive_data(heard[0])
    assert isinstance(closed, Closed)
    assert closed.code == code
    assert said in closed.reason


def test_a_flood_of_pings_is_answered_and_held_back(raw: MakeRaw, face: MakeFace) -> None:
    """While the server takes nothing, the pongs that wait are not to grow with its pings."""
    ping = encode_frame(PING, b"x" * 125)
    count = 400_000
    sent, pongs = 0, 0
    message = b"x" * 8_000_000

    def speak(sock: socket.socket, key: str) -> None:
        nonlocal sent, pongs
        protocol = Connection(False, MessageLimits(len(message), len(message)))
        events = protocol.receive_data(sock.recv(1))  # the client is sending: now let it wait
        sock.settimeout(0.5)
        flood = memoryview(ping * count)
        with suppress(TimeoutError):
            while sent < len(flood):
                sent += sock.send(flood[sent : sent + 65536])
        sock.settimeout(WAIT)
        rest = bytes(flood[sent : sent + -sent % len(ping)])
        writer = threading.Thread(target=sock.sendall, args=(rest + encode_frame(TEXT, b"still here"),))
        writer.start()
        while not protocol.is_over:
            events += protocol.receive_data(sock.recv(1 << 20))
        writer.join(WAIT)
        pongs = sum(isinstance(event, Pong) for event in events)
        assert BinaryMessage(message) in events
        sock.sendall(protocol.take_replies())

    server = raw(shaking(speak))
    with face().websocket(server.url, deflate=None) as ws:
        ws.send(message)
        assert ws.receive() == "still here"
    assert ws.close_code == 1000
    assert sent < len(ping) * count, "the client read all of the flood while none of its answers was taken"
    assert pongs == -(-sent // len(ping))


def test_a_server_that_does_not_close(raw: MakeRaw, face: MakeFace) -> None:
    with face().websocket(raw(shaking(listen)).url, close_timeout=0.05) as ws:
        ws.close(4000, "enough")
    assert (ws.close_code, ws.close_reason) == (4000, "enough")


# -- pings, and who is slow


def test_pings_are_answered_while_nobody_receives(raw: MakeRaw) -> None:
    answered = threading.Event()

    def speak(sock: socket.socket, key: str) -> None:
        sock.sendall(encode_frame(PING, b"there?"))
        protocol = Connection(False)
        (pong,) = protocol.receive_data(sock.recv(65536))
        assert pong == (b"there?",)
        answered.set()
        until_end(sock)

    with client.websocket(raw(shaking(speak)).url, close_timeout=0.05):
        assert answered.wait(WAIT)


def test_a_silent_server_is_pinged_and_given_up(raw: MakeRaw, face: MakeFace) -> None:
    heard: queue.Queue[bytes] = queue.Queue()
    server = raw(shaking(lambda sock, key: heard.put(until_end(sock))))
    with face().websocket(server.url, ping_interval=0.02, ping_timeout=0.02) as ws:
        with pytest.raises(WebSocketClosed, match="1006 the server has not answered a ping"):
            ws.receive()
        with pytest.raises(WebSocketClosed, match="1006 the server has not answered a ping"):
            ws.send("more")
    assert heard.get(timeout=WAIT)[0] == 0x80 | PING


def test_a_server_that_answers_pings_is_kept(raw: MakeRaw, face: MakeFace) -> None:
    def speak(sock: socket.socket, key: str) -> None:
        protocol = Connection(False)
        for _ in range(3):
            while not protocol.receive_data(sock.recv(65536)):
                pass
            sock.sendall(protocol.take_replies() + encode_frame(PONG, b""))
        sock.sendall(encode_frame(TEXT, b"still here") + encode_frame(CLOSE, b"\x03\xe8"))
        until_end(sock)

    with face().websocket(raw(shaking(speak)).url, ping_interval=0.02, ping_timeout=WAIT, close_timeout=0.05) as ws:
        assert ws.receive() == "still here"


def test_a_program_that_does_not_receive_lets_the_server_wait(raw: MakeRaw) -> None:
    done = threading.Event()
    frame = encode_frame(TEXT, b"x" * 1000)
    count = 20_000

    def speak(sock: socket.socket, key: str) -> None:
        sock.sendall(frame * count)
        done.set()
        until_end(sock)

    with client.websocket(raw(shaking(speak)).url, close_timeout=0.05) as ws:
        assert not done.wait(0.5)
        assert all(ws.receive(WAIT) == "x" * 1000 for _ in range(count))
        assert done.wait(WAIT)


def test_a_server_that_takes_nothing(raw: MakeRaw, face: MakeFace) -> None:
    over = threading.Event()

    def speak(sock: socket.socket, key: str) -> None:
        over.wait(WAIT)

    server = raw(shaking(speak))
    session = face(timeout=client.Timeout(write=0.1))
    with session.websocket(server.url, deflate=None, close_timeout=0.05) as ws:
        with pytest.raises(WebSocketClosed, match="took nothing for"):
            for _ in range(100):
                ws.send(b"x" * 1_000_000)
        assert ws.close_code == 1006
    over.set()
    assert session.session.pool.open_connections == 0


def test_a_task_that_is_cancelled_while_it_receives_loses_nothing(chat_url: str) -> None:
    async def talk() -> Any:
        async with client.AsyncSession() as session, session.websocket(f"{chat_url}/echo") as ws:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await ws.receive()
            assert not ws._channel._waiters
            await ws.send("hello")
            return await ws.receive()

    assert asyncio.run(talk()) == "hello"
