"""What ASGI applications receive: bodies, and that their client has left."""

from __future__ import annotations

import asyncio
import threading

import pytest

from engine.support import Serve
from hosts.support import Receive, Scope, Send, Told, body, echo, host, start


@pytest.fixture
def driver(each_loop: str) -> str:
    return each_loop


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    ],
)
def test_bodies_reach_the_application(serve: Serve, sent: bytes, expected: bytes) -> None:
    client = serve(host(echo)).client()
    for _ in range(2):
        assert client.send(sent).read()[2] == expected


def test_a_body_is_read_as_it_comes(serve: Serve) -> None:
    client = serve(host(echo)).client()
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n")
    while b"100 Continue\r\n\r\n" not in client.buffer:
        assert client.more()
    client.buffer = b""
    client.send(b"abc")
    while b"abc" not in client.buffer:  # comes back before the rest is sent
        assert client.more()
    assert client.send(b"def").read()[2] == b"abcdef"


def test_a_body_and_an_answer_of_many_pieces_pass_each_other(serve: Serve) -> None:
    piece = bytes(range(256)) * 256
    client = serve(host(echo)).client()

    def send() -> None:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (len(piece) * 64))
        for _ in range(64):
            client.send(piece)

    thread = threading.Thread(target=send)
    thread.start()
    assert client.read()[2] == piece * 64
    thread.join()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"Content-Length: 100000000\r\n\r\n", 413),
        (b"Transfer-Encoding: chunked\r\n\r\nz\r\n", 400),
    ],
)
def test_a_body_that_cannot_be_read_is_answered_for_the_application(serve: Serve, sent: bytes, status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.disconnect"
        with pytest.raises(OSError, match="left"):
            await send(start())
        raise ValueError("no body")

    client = serve(host(app)).client().send(b"POST / HTTP/1.1\r\nHost: x\r\n" + sent)
    assert client.read()[0] == status


def test_a_body_that_does_not_come_in_time_is_answered_with_408(serve: Serve) -> None:
    client = serve(host(echo_whole), body_timeout=0.1).client()
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
    assert client.read()[0] == 408


async def echo_whole(scope: Scope, receive: Receive, send: Send) -> None:
    whole, more = b"", True
    while more:
        message = await receive()
        whole += message.get("body", b"")
        more = message.get("more_body", False)
    await send(start())
    await send(body(whole))


def test_a_client_that_leaves_is_told_by_receive_and_by_send(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        told.say("waits")
        told.say((await receive())["type"])
        try:
            await send(start())
        except OSError as error:
            told.say(type(error).__name__)
        told.say((await receive())["type"])

    running = serve(host(app))
    client = running.client().get()
    told.wait()
    client.close()
    assert told.wait(4) == ["waits", "http.disconnect", "ClientDisconnected", "http.disconnect"]
    running.recorder.wait_for("closed")


def test_a_client_that_leaves_within_its_body_is_gone(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        told.say((await receive())["body"])
        told.say((await receive())["type"])

    client = serve(host(app)).client().send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
    assert told.wait() == [b"he"]
    client.close()
    assert told.wait(2)[1] == "http.disconnect"


def test_a_stream_whose_client_has_left_ends_with_an_os_error(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        try:
            while True:
                await send(body(b"x" * 65536, True))
        except OSError:
            told.say("left")
            raise

    client = serve(host(app)).client().get()
    client.more()
    client.close()
    assert told.wait() == ["left"]


def test_when_the_answer_is_complete_receive_says_so(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def watch() -> None:
            told.say((await receive())["type"])

        await receive()
        watcher = asyncio.create_task(watch())
        await asyncio.sleep(0)
        await send(start())
        await send(body(b"done"))
        await watcher
        told.say((await receive())["type"])

    assert serve(host(app)).client().get().read()[2] == b"done"
    assert told.wait(2) == ["http.disconnect"] * 2
