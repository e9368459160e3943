"""Answers that a handler sends itself while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from engine.support import WAIT, Serve
from engine.test_streaming import slow_reader
from firstbyte import Response
from firstbyte.errors import ClientDisconnected
from firstbyte.http.handler import Endpoint
from firstbyte.http.request import Request, Sender


@pytest.fixture
def driver(each_driver: str) -> str:
    return each_driver


class Sending:
    """A handler with one endpoint, which is given its sender."""

    def __init__(self, answer: Callable[[Request, Sender], Response]) -> None:
        def call(request: Request) -> Response:
            assert request.sender is not None
            return answer(request, request.sender)

        self.endpoint = Endpoint(call, sends=True)

    def resolve(self, request: Request) -> Endpoint:
        return self.endpoint


def test_every_piece_is_sent_when_it_is_written(serve: Serve) -> None:
    step = threading.Semaphore(0)

    def answer(request: Request, sender: Sender) -> Response:
        response = Response(b"", media_type="text/plain")
        assert sender.begin(response)
        for number in range(3):
            assert step.acquire(timeout=WAIT)
            sender.write(b"%d" % number)
        return response

    running = serve(Sending(answer))
    client = running.client().get()
    for number in range(3):
        step.release()
        while b"\r\n%d\r\n" % number not in client.buffer:
            assert client.more()
    status, fields, body = client.read()
    assert (status, fields["transfer-encoding"], body) == (200, "chunked", b"012")
    step.release(3)
    assert client.get().read()[2] == b"012"  # the connection goes on


@pytest.mark.parametrize(
    ("pieces", "logged"),
    [([b"ab"], "1 bytes before its Content-Length"), ([b"ab", b"cd"], "longer than its Content-Length")],
)
def test_a_length_that_does_not_hold_breaks_the_answer_off(
    serve: Serve, caplog: pytest.LogCaptureFixture, pieces: list[bytes], logged: str
) -> None:
    def answer(request: Request, sender: Sender) -> Response:
        response = Response(b"", headers={"Content-Length": "3"})
        sender.begin(response)
        for piece in pieces:
            sender.write(piece)
        return response

    client = serve(Sending(answer)).client().get()
    assert client.rest().endswith(b"\r\n\r\nab")
    assert logged in caplog.text


def test_an_exception_after_the_begin_breaks_the_answer_off(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def answer(request: Request, sender: Sender) -> Response:
        sender.begin(Response(b""))
        sender.write(b"half")
        raise RuntimeError("lost the rest")

    rest = serve(Sending(answer)).client().get().rest()
    assert b"half" in rest
    assert b"\r\n0\r\n" not in rest
    assert "lost the rest" in caplog.text


def test_a_head_that_cannot_be_sent_is_a_500(serve: Serve) -> None:
    def answer(request: Request, sender: Sender) -> Response:
        response = Response(b"", headers={"Transfer-Encoding": "gzip"})
        sender.begin(response)
        sender.write(b"nobody reads this")
        return response

    client = serve(Sending(answer)).client()
    for _ in range(2):
        assert client.get().read()[0] == 500


def test_what_has_no_body_is_not_begun(serve: Serve) -> None:
    def answer(request: Request, sender: Sender) -> Response:
        response = Response(b"", 204)
        assert not sender.begin(response)
        return response

    client = serve(Sending(answer)).client()
    assert client.get().read()[0] == client.get().read()[0] == 204


def test_a_slow_reader_holds_the_handler_up_and_one_that_leaves_ends_it(serve: Serve) -> None:
    written = 0
    ended = threading.Event()

    def answer(request: Request, sender: Sender) -> Response:
        nonlocal written
        if request.path == "/other":
            return Response("here")
        sender.begin(Response(b""))
        try:
            while True:
                sender.write(b"x" * 65536)
                written += 65536
        except ClientDisconnected:
            ended.set()
            raise

    running = serve(Sending(answer))
    slow = slow_reader(running.server.port, "/")
    slow.sock.recv(1)
    assert running.client().get("/other").read()[2] == b"here"
    slow.sock.close()
    assert ended.wait(WAIT)
    assert written < 64 * 1024 * 1024


def test_a_reader_that_stops_reading_is_left(serve: Serve) -> None:
    ended = threading.Event()

    def answer(request: Request, sender: Sender) -> Response:
        sender.begin(Response(b""))
        try:
            while True:
                sender.write(b"x" * 65536)
        except ClientDisconnected:
            ended.set()
            raise

    running = serve(Sending(answer), write=0.1)
    running.clients.append(slow_reader(running.server.port, "/"))
    assert ended.wait(WAIT)
    assert running.recorder.wait_for("closed")[0][1] == "writing timeout"
