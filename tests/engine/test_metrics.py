"""What is counted, and how it adds up."""

from __future__ import annotations

import itertools
import os
import resource
import threading

import msgspec
import pytest

from engine.support import WAIT, Client
from firstbyte import App, Endpoint, Request, Response, Server
from firstbyte.engine import metrics
from firstbyte.engine.metrics import BOUNDS, EndpointFigures, Histogram, Metrics, Process, Snapshot, merge
from firstbyte.engine.observer import Entry
from firstbyte.errors import ProtocolError


class Known(Metrics):
    """Lets a test wait until something has been counted."""

    def __init__(self) -> None:
        super().__init__("7")
        self.changed = threading.Condition()

    def write_ended(self, connection: object, entry: Entry) -> None:
        super().write_ended(connection, entry)  # type: ignore[arg-type]
        self._tell()

    def closed(self, connection: object, reason: str) -> None:
        self._tell()

    def _tell(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, server: Server, requests: int) -> Snapshot:
        def counted() -> bool:
            figures = self.snapshot(server)
            return figures.cut + sum(sum(each.requests.values()) for each in figures.endpoints.values()) >= requests

        with self.changed:
            assert self.changed.wait_for(counted, WAIT)
        return self.snapshot(server)


def page() -> str:
    return "hello"


def test_what_a_server_does_is_counted() -> None:
    app = App()
    app.add_route("/", page, ["GET", "POST"])
    counting = Known()
    with Server(app, port=0, threads=3, observers=[counting]) as server:
        client = Client(server.port)
        sizes = []
        requests = (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
            b"ODD /none HTTP/1.1\r\nHost: x\r\n\r\n",
        )
        for request in requests:
            client.send(request)
            client.more()
            sizes.append(len(client.buffer))
            client.read()
        bad = Client(server.port).send(b"GET / HTTP/1.1\r\n\r\n")
        bad.rest()
        bad.close()
        figures = counting.wait_for(server, 3)
        client.close()
    assert figures.endpoints["page"].requests == {"GET 200": 1, "POST 200": 1}
    assert figures.endpoints["404"].requests == {"other 404": 1}
    assert sum(figures.endpoints["page"].duration.counts) == 2
    assert 0 < figures.endpoints["page"].duration.sum < WAIT
    assert (figures.bytes_in, figures.bytes_out) == (sum(map(len, requests)), sum(sizes))
    assert figures.rejections == {"host-missing": 1}
    assert (figures.accepted, figures.threads, figures.waiting) == (2, 3, 0)
    assert figures.connections["head"] >= 1
    assert {"body", "writing", "handler"} <= figures.connections.keys()
    (process,) = figures.processes
    assert (process.worker, process.pid) == ("7", os.getpid())
    assert process.memory > 1_000_000
    assert process.cpu == figures.cpu > 0


def test_waiting_and_busy_threads_and_answers_cut_off() -> None:
    gate, inside = threading.Event(), threading.Semaphore(0)

    def wait() -> str:
        inside.release()
        assert gate.wait(WAIT)
        return ""

    app = App()
    app.add_route("/", wait)
    counting = Known()
    with Server(app, port=0, threads=1, observers=[counting]) as server:
        clients = [Client(server.port).get(), Client(server.port).get()]
        assert inside.acquire(timeout=WAIT)
        while not counting.snapshot(server).waiting:
            pass  # the second request is on its way, and nothing tells of its arrival in the queue itself
        figures = counting.snapshot(server)
        assert figures.connections["handler"] == 2
        gate.set()
        for client in clients:
            client.read()
            client.close()
        figures = counting.wait_for(server, 2)
    assert sum(figures.queue_wait.counts) == 1
    assert figures.queue_wait.sum > 0


def test_an_answer_cut_off_is_no_request_but_its_bytes_count() -> None:
    def broken() -> object:
        yield "a" * 100
        raise ValueError

    app = App()
    app.add_route("/", broken)
    counting = Known()
    with Server(app, port=0, observers=[counting]) as server:
        client = Client(server.port).get()
        size = len(client.rest())
        client.close()
        figures = counting.wait_for(server, 1)
    assert (figures.cut, figures.bytes_out, figures.endpoints) == (1, size, {})


def answered(counting: Metrics, name: str, method: str = "GET") -> None:
    entry = Entry(Request.build(method, "/"))
    entry.endpoint = Endpoint(lambda request: Response(), name=name)
    entry.response = Response()
    counting.write_ended(None, entry)  # type: ignore[arg-type]


def test_a_refusal_by_a_rule_of_the_app_is_counted_by_it() -> None:
    counting = Metrics()
    entry = Entry(Request.build("GET", "/"))
    entry.endpoint = Endpoint(lambda request: Response(), name="refused: x", rule="requires X-Token")
    entry.response = Response(status=401)
    counting.write_ended(None, entry)  # type: ignore[arg-type]
    assert counting._count.rejections == {"requires X-Token": 1}
    assert counting._count.endpoints["refused: x"].requests == {"GET 401": 1}


def test_labels_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_NAMES", 3)
    counting = Metrics()
    for name in ("a", "b", "c", "d", "e", "a"):
        answered(counting, name)
        counting.rejected(None, ProtocolError(400, name, ""))  # type: ignore[arg-type]
    for method in ("X", "Y", "Z"):
        answered(counting, "a", method)
    figures = counting._count
    assert {name: sum(each.requests.values()) for name, each in figures.endpoints.items()} == {
        "a": 5, "b": 1, "c": 1, "other": 2,
    }  # fmt: skip
    assert figures.endpoints["a"].requests["other 200"] == 3
    assert figures.rejections == {"a": 2, "b": 1, "c": 1, "other": 2}


@pytest.mark.parametrize(
    ("seconds", "index"), [(0.0, 0), (0.0001, 0), (0.00011, 1), (BOUNDS[-1], len(BOUNDS) - 1), (1e9, len(BOUNDS))]
)
def test_a_bound_is_part_of_its_bucket(seconds: float, index: int) -> None:
    histogram = Histogram()
    histogram.observe(seconds)
    assert histogram.counts.index(1) == index


def figures(worker: str, number: int) -> Snapshot:
    histogram = Histogram()
    histogram.observe(number)
    return Snapshot(
        endpoints={"page": EndpointFigures({"GET 200": number}, histogram), worker: EndpointFigures()},
        queue_wait=histogram, rejections={"rule": number}, cut=number, accepted=number, accept_failures=number,
        bytes_in=number, bytes_out=number, cpu=number, connections={"head": number}, threads=number,
        threads_busy=number, waiting=number, processes=[Process(worker, number, number, number, number)],
    )  # fmt: skip


def test_merging_adds_everything_and_changes_nothing() -> None:
    parts = [figures("1", 1), figures("2", 20)]
    before = msgspec.json.encode(parts)
    whole = merge(parts)
    assert msgspec.json.encode(parts) == before
    assert whole.endpoints.keys() == {"page", "1", "2"}
    assert whole.endpoints["page"].requests == {"GET 200": 21}
    assert (sum(whole.endpoints["page"].duration.counts), whole.endpoints["page"].duration.sum) == (2, 21)
    assert [process.worker for process in whole.processes] == ["1", "2"]
    for field in Snapshot.__struct_fields__:
        value = getattr(whole, field)
        if isinstance(value, int | float):
            assert value == 21, field
    assert (whole.rejections, whole.connections) == ({"rule": 21}, {"head": 21})


def test_a_snapshot_travels() -> None:
    sent = figures("1", 5)
    for form in (msgspec.json, msgspec.msgpack):
        assert form.decode(form.encode(sent), type=Snapshot) == sent


def test_totals_do_not_fall_when_a_worker_ends() -> None:
    first, second = figures("1", 3), figures("2", 4)
    whole, left = merge([first, second]), merge([first.ended(), second])
    assert left.endpoints == whole.endpoints
    assert (left.bytes_in, left.cpu) == (whole.bytes_in, whole.cpu)
    assert (left.connections, left.threads, [each.worker for each in left.processes]) == ({"head": 4}, 4, ["2"])


def test_counting_in_many_threads_loses_nothing() -> None:
    counting = Metrics()

    def count() -> None:
        for _ in range(500):
            answered(counting, "page")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counting._count.endpoints["page"].requests == {"GET 200": 2000}


def test_accepting_that_fails_is_counted() -> None:
    counting = Metrics()
    counting.accept_failed(OSError(24, "Too many open files"))
    assert counting._count.accept_failures == 1


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_memory_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch, platform: str, unit: int) -> None:
    monkeypatch.setattr(metrics, "_STATM", "/nowhere")
    monkeypatch.setattr(metrics.sys, "platform", platform)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    assert most <= metrics.resident_memory() < 2 * most


def test_bounds_rise() -> None:
    assert all(one < two for one, two in itertools.pairwise(BOUNDS))
