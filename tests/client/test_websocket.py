"""WebSockets of the client, by both kinds of session: against our server, the `websockets` library's, and raw ones."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.server as theirs

from client.support import WAIT, MakeFace, MakeRaw, read_request
from engine.certificates import authority_file, pair
from engine.support import Serve
from firstbyte import App, HTTPError, Request, Response, client
from firstbyte.client.websocket import http_url
from firstbyte.engine.tls import TLS
from firstbyte.errors import BadResponse, ClientError, InvalidRequest, ServerClosed, WebSocketClosed, WebSocketRefused
from firstbyte.websocket import SyncWebSocket
from firstbyte.wire.websocket.deflate import Deflate
from firstbyte.wire.websocket.events import BinaryMessage, Closed, Pong, TextMessage
from firstbyte.wire.websocket.frames import CLOSE, PING, PONG, TEXT, encode_frame
from firstbyte.wire.websocket.handshake import accept_value
from firstbyte.wire.websocket.limits import MessageLimits
from firstbyte.wire.websocket.protocol import Connection

MESSAGES: list[str | bytes] = ["", "hello", "κόσμε" * 100, b"", bytes(range(256)) * 1000, "x" * 300_000]


def chat_app() -> App:
    app = App()

    @app.websocket("/echo", subprotocols=("v2", "v1"))
    def echo(ws: SyncWebSocket) -> None:
        for message in ws:
            ws.send(message)

    @app.websocket("/close")
    def close(ws: SyncWebSocket, code: int) -> None:
        ws.send("first")
        ws.close(code, "as asked")

    @app.websocket("/who")
    def who(ws: SyncWebSocket, request: Request) -> None:
        ws.send_json({name: request.headers.get(name) for name in ("cookie", "authorization", "x-token", "origin")})

    @app.websocket("/no")
    def no(ws: SyncWebSocket, request: Request) -> None:
        raise AssertionError

    @app.get("/http")
    def http() -> str:
        return "hello"

    @app.get("/moved")
    def moved() -> Response:
        return Response(b"", 302, {"Location": "/echo", "Set-Cookie": "seen=1"})

    @app.get("/problem")
    def problem() -> None:
        raise HTTPError(403, "members only")

    return app


@pytest.fixture
def url(serve: Serve) -> str:
    return f"ws://localhost:{serve(chat_app()).server.port}"


@contextmanager
def their_server() -> Iterator[str]:
    def echo(ws: theirs.ServerConnection) -> None:
        for message in ws:
            ws.send(message)

    with theirs.serve(echo, "127.0.0.1", 0, subprotocols=["v2"]) as server:  # type: ignore[list-item]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/echo"
        finally:
            server.shutdown()
            thread.join(WAIT)


@pytest.fixture(params=["ours", "theirs"])
def echo(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "ours":
        yield f"{request.getfixturevalue('url')}/echo"
    else:
        with their_server() as url:
            yield url


# -- what works


@pytest.mark.parametrize("deflate", [None, Deflate(), Deflate(True, True, 9, 9, threshold=0)], ids=["no", "yes", "bit"])
def test_messages_both_ways(echo: str, face: MakeFace, deflate: Deflate | None) -> None:
    session = face()
    with session.websocket(echo, deflate=deflate, subprotocols=["v3", "v2"]) as ws:
        assert ws.subprotocol == "v2"
        assert ws.response.status == 101
        assert ws.response.request.url.scheme == "http"
        assert ("permessage-deflate" in ws.response.headers.get("sec-websocket-extensions", "")) is bool(deflate)
        for message in MESSAGES:
            ws.send(message)
            assert ws.receive() == message
        for message in MESSAGES:
            ws.send(message)
        assert [ws.receive() for _ in MESSAGES] == MESSAGES
        ws.send_json({"a": [1]})
        assert ws.receive() == '{"a":[1]}'
        assert session.session.pool.open_connections == 1
        assert not ws.closed
        assert ws.close_code is None
    assert ws.close_code == 1000
    assert session.session.pool.open_connections == 0


def test_through_tls(serve: Serve, face: MakeFace, tmp_path: Path) -> None:
    port = serve(chat_app(), tls=TLS(*pair(tmp_path, "localhost"))).server.port
    with face(verify=authority_file(tmp_path)).websocket(f"wss://localhost:{port}/echo") as ws:
        for message in MESSAGES:
            ws.send(message)
            assert ws.receive() == message
        for message in MESSAGES:
            ws.send(message)
        assert [ws.receive() for _ in MESSAGES] == MESSAGES


def test_it_is_a_request_as_any_other(url: str, face: MakeFace) -> None:
    session = face(base_url=http_url(url), cookies={"a": "1"}, headers={"X-Token": "t"})
    with session.websocket("/who", auth=("u", "p"), headers={"Origin": http_url(url)}) as ws:
        assert ws.receive() == (
            f'{{"cookie":"a=1","authorization":"Basic dTpw","x-token":"t","origin":"{http_url(url)}"}}'
        )
    with session.websocket("/moved") as ws:
        assert [each.status for each in ws.response.history] == [302]
        assert session.session.cookies["seen"] == "1"
        ws.send("hello")
        assert ws.receive() == "hello"
    assert session.get("/http").text == "hello"


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("ws://a/b?c", "http://a/b?c"),
        ("WSS://a", "https://a"),
        ("ws+unix://%2Fx/y", "http+unix://%2Fx/y"),
        ("http://a", "http://a"),
        ("/a?u=ws://b", "/a?u=ws://b"),
    ],
)
def test_the_url_of_http(url: str, meant: str) -> None:
    assert http_url(url) == meant


def test_one_function_for_one_websocket(url: str) -> None:
    with client.websocket(f"{url}/echo") as ws:
        ws.send("hello")
        assert ws.receive() == "hello"
        with pytest.raises(TimeoutError, match=r"in 0\.001 s"):
            ws.receive(0.001)


def test_threads_send_at_once(url: str) -> None:
    count, each = 4, 40
    with client.websocket(f"{url}/echo") as ws:
        threads = [
            threading.Thread(target=lambda n=n: [ws.send(f"{n}" * 3000) for _ in range(each)]) for n in range(count)
        ]
        for thread in threads:
            thread.start()
        got = [ws.receive(WAIT) for _ in range(count * each)]
        for thread in threads:
            thread.join(WAIT)
    assert sorted(got) == sorted(f"{n}" * 3000 for n in range(count) for _ in range(each))


def test_tasks_send_at_once_through_tls(serve: Serve, tmp_path: Path) -> None:
    port = serve(chat_app(), tls=TLS(*pair(tmp_path, "localhost"))).server.port
    texts = [f"{n}" * 100_000 for n in range(8)]

    async def talk() -> list[Any]:
        async with (
            client.AsyncSession(verify=authority_file(tmp_path)) as session,
            session.websocket(f"wss://localhost:{port}/echo", deflate=None) as ws,
            asyncio.TaskGroup() as group,
        ):
            for text in texts:
                group.create_task(ws.send(text))
            return [await ws.receive() for _ in texts]

    assert sorted(asyncio.run(talk())) == texts


# -- how it is refused


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [("/nothing", 404, "nothing is at /nothing"), ("/http", 200, "hello"), ("/problem", 403, "members only")],
)
def test_a_refusal_shows_the_answer(url: str, face: MakeFace, path: str, status: int, said: str) -> None:
    session = face()
    with (
        pytest.raises(WebSocketRefused, match=f"{status} .*") as raised,
        session.websocket(url + path, headers={"Accept": "application/json"}),
    ):
        raise AssertionError
    assert raised.value.response.status == status
    assert said in raised.value.response.text
    if status >= 400:
        assert said in str(raised.value)
    assert session.session.pool.open_connections <= 1  # a refusal's connection is kept, if anything
    assert session.get(f"{http_url(url)}/http").ok


def test_what_cannot_be_offered(url: str, face: MakeFace) -> None:
    for subprotocols in (["a b"], ["a", "a"]):
        with pytest.raises(InvalidRequest, match="subprotocols"), face().websocket(url, subprotocols=subprotocols):
            raise AssertionError
    with pytest.raises(InvalidRequest, match="scheme"), face().websocket("ftp://a/"):
        raise AssertionError


def test_an_app_in_memory_has_no_connection_to_give(face: MakeFace) -> None:
    with pytest.raises(ClientError, match="in memory"), face(app=chat_app()).websocket("/echo"):
        raise AssertionError


Speak = Callable[[socket.socket, str], None]


def shaking(speak: Speak, more: str = "", accept: str | None = None) -> Callable[[socket.socket], None]:
    """A raw server that shakes hands and then does what it is told."""

    def answer(sock: socket.socket) -> None:
        request = read_request(sock).decode()
        key = request.lower().partition("sec-websocket-key: ")[2].partition("\r\n")[0]
        key = request[request.lower().index(key) :][: len(key)]
        fields = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept or accept_value(key)}\r\n"
        sock.sendall(f"HTTP/1.1 101 Switching Protocols\r\n{fields}{more}\r\n".encode())
        speak(sock, key)

    return answer


def until_end(sock: socket.socket) -> bytes:
    """All that the client sends."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def leave(sock: socket.socket, key: str) -> None:
    pass


def listen(sock: socket.socket, key: str) -> None:
    until_end(sock)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"accept": "x"}, "websocket-accept"),
        ({"more": "Sec-WebSocket-Protocol: v9\r\n"}, "websocket-protocol"),
        ({"more": "Sec-WebSocket-Extensions: x\r\n"}, "websocket-extensions"),
    ],
)
def test_an_answer_that_fits_no_offer(raw: MakeRaw, face: MakeFace, options: dict[str, str], rule: str) -> None:
    session = face()
    with pytest.raises(BadResponse) as raised, session.websocket(raw(shaking(leave, **options)).url):
        raise AssertionError
    assert raised.value.rule == rule
    assert session.session.pool.open_connections == 0


def test_a_server_that_leaves_within_the_handshake(raw: MakeRaw, face: MakeFace) -> None:
    with pytest.raises(ServerClosed), face().websocket(raw(lambda sock: None).url):
        raise AssertionError


# -- how it ends


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4000])
def test_the_server_closes(url: str, face: MakeFace, code: int) -> None:
    with face().websocket(f"{url}/close?code={code}") as ws:
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


def test_a_task_that_is_cancelled_while_it_receives_loses_nothing(url: str) -> None:
    async def talk() -> Any:
        async with client.AsyncSession() as session, session.websocket(f"{url}/echo") as ws:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await ws.receive()
            assert not ws._channel._waiters
            await ws.send("hello")
            return await ws.receive()

    assert asyncio.run(talk()) == "hello"
