"""Counts what one process does, and adds up the figures of several.

Counters only grow; what is so at a moment (connections, busy threads, memory) is looked at when someone asks. Labels
are bounded: endpoints and rules beyond the first `MAX_NAMES`, and methods that HTTP does not know, are "other".
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec

from firstbyte.engine.connection import Connection
from firstbyte.engine.observer import Entry, Observer
from firstbyte.engine.reactor import describe
from firstbyte.engine.server import Server
from firstbyte.engine.states import STATES
from firstbyte.errors import ProtocolError

if TYPE_CHECKING:
    from firstbyte.engine.entrance import Arrival

# Upper bounds in seconds: Prometheus's own, and below them what a server is worth that answers in microseconds.
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MAX_NAMES = 200
OTHER = "other"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"))  # RFC 9110, 5789


class Histogram(msgspec.Struct):
    """How many seconds something took: `counts` for each of BOUNDS, up to and including it, and for all above."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    sum: float = 0.0

    def observe(self, seconds: float) -> None:
        """Counts one."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds

    def add(self, other: Histogram) -> None:
        """Adds what another has counted."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


class EndpointFigures(msgspec.Struct):
    """Of the requests that one endpoint has answered: how many by method and status ("GET 200"), and how long each
    took, from its head's arrival to its answer's last byte."""

    requests: dict[str, int] = {}
    duration: Histogram = msgspec.field(default_factory=Histogram)

    def add(self, other: EndpointFigures) -> None:
        """Adds the figures of the same endpoint elsewhere."""
        _add_counts(self.requests, other.requests)
        self.duration.add(other.duration)


class Process(msgspec.Struct):
    """One worker now: bytes of memory resident, seconds of processor time, when it began (Unix time)."""

    worker: str
    pid: int
    memory: int
    cpu: float
    started: float


class Snapshot(msgspec.Struct, kw_only=True):
    """The figures of one process or, merged, of several; msgspec encodes and decodes it.

    Sizes are bytes. `queue_wait` has the requests that had to wait for a thread. The last five are of the moment.
    """

    endpoints: dict[str, EndpointFigures] = {}
    queue_wait: Histogram = msgspec.field(default_factory=Histogram)
    rejections: dict[str, int] = {}
    cut: int = 0
    accepted: int = 0
    accept_failures: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    cpu: float = 0.0
    connections: dict[str, int] = {}
    threads: int = 0
    threads_busy: int = 0
    waiting: int = 0
    processes: list[Process] = []

    def ended(self) -> Snapshot:
        """What is left of it when its processes have ended: the counters. A supervisor merges these with the living,
        since a total that falls looks to Prometheus like one that began anew."""
        return msgspec.structs.replace(self, connections={}, threads=0, threads_busy=0, waiting=0, processes=[])


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """The figures of several processes as those of one."""
    whole = Snapshot()
    for each in snapshots:
        for name, figures in each.endpoints.items():
            whole.endpoints.setdefault(name, EndpointFigures()).add(figures)
        whole.queue_wait.add(each.queue_wait)
        _add_counts(whole.rejections, each.rejections)
        _add_counts(whole.connections, each.connections)
        for field in _SUMS:
            setattr(whole, field, getattr(whole, field) + getattr(each, field))
        whole.processes += each.processes
    return whole


_SUMS = (
    "cut", "accepted", "accept_failures", "bytes_in", "bytes_out", "cpu", "threads", "threads_busy", "waiting",
)  # fmt: skip


def _add_counts(to: dict[str, int], counts: dict[str, int]) -> None:
    for name, count in counts.items():
        to[name] = to.get(name, 0) + count


class Metrics(Observer):
    """Counts what happens in the servers that it observes; `worker` names this process among others."""

    def __init__(self, worker: str = "1") -> None:
        self._worker = worker
        self._started = time.time()
        self._lock = threading.Lock()  # guards the counters: events come from many threads
        self._count = Snapshot()

    def accepted(self, connection: Connection) -> None:
        """Counts it."""
        with self._lock:
            self._count.accepted += 1

    def write_ended(self, connection: Connection, entry: Entry) -> None:
        """Counts the request with its answer."""
        seconds = perf_counter() - entry.began
        endpoint, response, method = entry.endpoint, entry.response, entry.request.method
        assert endpoint is not None and response is not None
        key = f"{method if method in METHODS else OTHER} {response.status}"
        with self._lock:
            figures = self._count.endpoints.get(endpoint.name) or self._new(endpoint.name)
            figures.duration.observe(seconds)
            figures.requests[key] = figures.requests.get(key, 0) + 1
            if endpoint.rule:
                self._count_rejection(endpoint.rule)
            self._count_sizes(entry)

    def cut(self, connection: Connection, entry: Entry) -> None:
        """Counts an answer that was not sent to its end, or was none."""
        with self._lock:
            self._count.cut += 1
            self._count_sizes(entry)

    def rejected(self, connection: Connection | Arrival, error: ProtocolError) -> None:
        """Counts a refused request by the rule of HTTP that it broke; those of the app are counted with its answers."""
        with self._lock:
            self._count_rejection(error.rule)

    def accept_failed(self, error: OSError) -> None:
        """Counts it."""
        with self._lock:
            self._count.accept_failures += 1

    def snapshot(self, server: Server) -> Snapshot:
        """The figures now, with what `server`, which it observes, is doing at the moment. From any thread."""
        cpu = time.process_time()
        connections = dict.fromkeys(("handshake", *STATES[:-1], "handler"), 0) | describe(server.reactor.connections)
        with self._lock:
            now = merge([self._count])  # a copy, so that nothing changes in it any more
        now.connections = connections
        now.threads = server.threads
        now.threads_busy = server.busy
        now.waiting = server.waiting
        now.cpu = cpu
        now.processes = [Process(self._worker, os.getpid(), resident_memory(), cpu, self._started)]
        return now

    # -- with the lock held

    def _new(self, name: str) -> EndpointFigures:
        """The figures of an endpoint that has none yet."""
        if len(self._count.endpoints) >= MAX_NAMES:
            name = OTHER
        return self._count.endpoints.setdefault(name, EndpointFigures())

    def _count_rejection(self, rule: str) -> None:
        counts = self._count.rejections
        name = rule if rule in counts or len(counts) < MAX_NAMES else OTHER
        counts[name] = counts.get(name, 0) + 1

    def _count_sizes(self, entry: Entry) -> None:
        self._count.bytes_in += entry.received
        self._count.bytes_out += entry.size
        if entry.waited:
            self._count.queue_wait.observe(entry.waited)


def resident_memory() -> int:
    """Bytes of this process that are in memory; where the system does not tell, the most there ever were."""
    try:
        return int(Path(_STATM).read_bytes().split()[1]) * resource.getpagesize()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


_STATM = "/proc/self/statm"  # of Linux: sizes in pages
