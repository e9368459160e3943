"""Fast handlers inline, slow ones handed off."""

from __future__ import annotations

import random
import threading
import time

import pytest

from engine.support import WAIT, Client, Serve
from firstbyte import App
from firstbyte.http.handler import PROVEN


class Gate:
    """A handler that waits until it is let through."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.inside = threading.Semaphore(0)
        self.threads: set[int] = set()

    def __call__(self) -> str:
        self.threads.add(threading.get_ident())
        self.inside.release()
        assert self.opened.wait(WAIT)
        return "through"

    def wait_inside(self, count: int) -> None:
        for _ in range(count):
            assert self.inside.acquire(timeout=WAIT)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def app(gate: Gate) -> App:
    app = App()
    app.add_route("/", lambda: "hello")
    app.add_route("/thread", lambda: str(threading.get_ident()))
    app.add_route("/gate", lambda: gate())
    return app


def test_fast_handlers_stay_in_one_thread(serve: Serve, app: App) -> None:
    running = serve(app)
    clients = [running.client() for _ in range(5)]
    threads = {client.get("/thread").read()[2] for _ in range(20) for client in clients}
    assert len(threads) == 1


def test_a_handler_that_turns_out_slow_is_caught(serve: Serve, app: App, gate: Gate, poller: str) -> None:
    """The gate is opened by another request: without the monitor nobody would read that."""
    app.add_route("/open", lambda: str(gate.opened.set()))
    running = serve(app)
    slow = running.client().get("/gate")
    gate.wait_inside(1)
    assert running.client().get("/open").read()[0] == 200
    assert slow.read()[2] == b"through"
    assert slow.get().read()[2] == b"hello"


def test_as_many_at_once_as_there_are_threads(serve: Serve, app: App, gate: Gate) -> None:
    running = serve(app, threads=4)
    clients = [running.client().get("/gate") for _ in range(4)]
    gate.wait_inside(4)
    assert len(gate.threads) == 4
    while running.server.busy < 4:  # the last one may hold the wheel for a moment
        time.sleep(0.001)
    gate.opened.set()
    assert all(client.read()[2] == b"through" for client in clients)


def test_what_is_too_many_waits_and_is_served(serve: Serve, app: App, gate: Gate) -> None:
    running = serve(app, threads=2)
    fast = running.client()
    for _ in range(PROVEN + 1):
        fast.get().read()
    clients = [running.client().get("/gate") for _ in range(6)]
    gate.wait_inside(2)
    running.recorder.wait_for("queued", 4)
    assert running.server.waiting == 4
    assert len(gate.threads) == 2
    assert fast.get().read()[2] == b"hello"  # proven fast: answered though every thread is busy
    gate.opened.set()
    assert all(client.read()[2] == b"through" for client in clients)
    assert running.server.waiting == 0


def test_a_slow_endpoint_is_learned(serve: Serve) -> None:
    app = App()
    app.add_route("/slow", lambda: time.sleep(0.005) or "slow")
    running = serve(app)
    client = running.client()
    endpoint = app.resolve(_request("/slow"))
    for _ in range(20):
        client.get("/slow").read()
    assert endpoint.pace.seconds > 0.001
    assert endpoint.pace.calls == 20


def test_one_slow_call_does_not_make_an_endpoint_slow(serve: Serve) -> None:
    app = App()
    calls = iter(range(1000))
    app.add_route("/", lambda: time.sleep(0.05) if next(calls) == 20 else None)
    running = serve(app)
    client = running.client()
    endpoint = app.resolve(_request("/"))
    for _ in range(22):
        assert client.get().read()[0] == 204
    assert endpoint.pace.seconds < 0.001


def test_pipelined_requests_behind_a_slow_one_keep_their_order(serve: Serve, app: App, gate: Gate) -> None:
    running = serve(app)
    client = running.client().get().get("/gate").get().get("/gate").get()
    gate.wait_inside(1)
    gate.opened.set()
    assert [client.read()[2] for _ in range(5)] == [b"hello", b"through", b"hello", b"through", b"hello"]


def test_every_answer_goes_to_its_client_whoever_has_the_wheel(serve: Serve, poller: str) -> None:
    """Handlers that take about as long as the monitor needs to catch them, so that both ends of the race happen."""
    app = App()
    chance = random.Random(7)

    def work(n: int) -> str:
        time.sleep(chance.choice((0, 0, 0, 0.0005, 0.001, 0.002, 0.003, 0.005)))
        return str(n)

    app.add_route("/{n:int}", work)
    running = serve(app, threads=6)
    wrong: list[object] = []

    def load(number: int) -> None:
        client = Client(running.server.port)
        try:
            numbers = range(number * 1000, number * 1000 + 150)
            wrong.extend(n for n in numbers if int(client.get(f"/{n}").read()[2]) != n)
        except (AssertionError, OSError) as error:
            wrong.append(error)
        finally:
            client.close()

    threads = [threading.Thread(target=load, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_threads_are_not_started_before_they_are_needed(serve: Serve, app: App) -> None:
    running = serve(app, threads=50)
    before = threading.active_count()
    for _ in range(50):
        running.client().get().read()
    assert threading.active_count() - before <= 2  # the monitor may have caught a handler that the system had stopped


def _request(path: str):  # type: ignore[no-untyped-def]
    from firstbyte import Request

    return Request.build("GET", path)
