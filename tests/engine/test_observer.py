"""What observers hear."""

from __future__ import annotations

import logging

import pytest

from engine.support import Client, Serve
from firstbyte import App, Server
from firstbyte.engine.observer import EVENTS, Hooks, Observer


@pytest.fixture
def driver(each_driver: str) -> str:
    return each_driver


REQUEST = ["first_byte", "head", "resolved", "handler_started", "handler_ended", "write_started", "write_ended"]


def test_a_requests_way_is_told_in_order(serve: Serve, app: App) -> None:
    running = serve(app)
    client = running.client().get()
    client.read()
    client.get(fields="Connection: close\r\n")
    client.read()
    assert running.recorder.wait_for("closed")[0][1] == "response complete"
    assert running.recorder.names() == ["accepted", *REQUEST, *REQUEST, "closed"]


def test_the_end_of_writing_has_the_status_and_the_size(serve: Serve, app: App) -> None:
    running = serve(app)
    client = running.client().get()
    client.more()
    size = len(client.buffer)
    _, request, status, told = running.recorder.wait_for("write_ended")[0]
    assert (request.target, status, told) == ("/", 200, size)


def test_a_streamed_answer_is_counted_whole(serve: Serve, app: App) -> None:
    app.add_route("/stream", lambda: iter(["a" * 1000] * 3))
    running = serve(app)
    client = running.client().get("/stream", "Connection: close\r\n")
    size = len(client.rest())
    _, _, status, told = running.recorder.wait_for("write_ended")[0]
    assert (status, told) == (200, size)


def test_a_refusal_is_told_with_its_rule_and_byte(serve: Serve, app: App) -> None:
    running = serve(app)
    running.client().send(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n").read()
    error = running.recorder.wait_for("rejected")[0][1]
    assert (error.status, error.rule, error.offset) == (400, "field-space-before-colon", 20)


def test_without_observers_there_is_nothing_to_call() -> None:
    hooks = Hooks([], lambda message: None)
    assert all(getattr(hooks, event) is None for event in EVENTS)
    assert all(getattr(Hooks([Observer()], lambda message: None), event) is None for event in EVENTS)


def test_an_observer_that_fails_harms_nothing(app: App, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Observer):
        def head(self, connection: object, request: object) -> None:
            raise ValueError("broken")

    heard = []

    class Other(Observer):
        def head(self, connection: object, request: object) -> None:
            heard.append(request)

    with Server(app, port=0, observers=[Broken(), Other()]) as server, caplog.at_level(logging.ERROR):
        client = Client(server.port).get()
        assert client.read()[0] == 200
        client.close()
    assert len(heard) == 1
    assert "failed on head" in caplog.text
