"""Metrics and health at an address of their own: the figures of `engine.metrics` in Prometheus's text format 0.0.4.

The text is written here and not by prometheus-client: the figures come from other processes, ready counted, and what is
left to do is less than it takes to dress them up as that library's collectors. Its parser checks the text in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from firstbyte import __version__
from firstbyte.app.application import App
from firstbyte.batteries.health import Check, Health
from firstbyte.engine.metrics import BOUNDS, Histogram, Snapshot, merge
from firstbyte.engine.server import Server
from firstbyte.engine.timeouts import Timeouts
from firstbyte.errors import ConfigurationError, ListenError
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.request import Request
from firstbyte.http.response import Response

OBSERVERS = 4  # threads: asking the workers takes a moment, and there are a scraper, a balancer and a person
TIMEOUTS = Timeouts(drain=1.0, drain_idle=0.01)  # a scraper must not hold up the end of a process
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

GetSnapshots = Callable[[], Iterable[Snapshot]]


class MetricsHandler:
    """Answers GET, at whatever path it is mounted, with the sum of the snapshots that `get_snapshots` returns."""

    def __init__(self, get_snapshots: GetSnapshots) -> None:
        self._get_snapshots = get_snapshots
        self._endpoint = Endpoint(self.answer, name="metrics", streams_body=True)

    def resolve(self, request: Request) -> Endpoint:
        """See `Handler.resolve`."""
        return self._endpoint

    def answer(self, request: Request) -> Response:
        """The text, or 405."""
        if request.method not in ("GET", "HEAD"):
            return Response("405 Method Not Allowed\n", 405, {"Allow": "GET, HEAD"})
        text = exposition(merge(self._get_snapshots()))
        return Response(text, headers={"Cache-Control": "no-store"}, media_type=MEDIA_TYPE)


def observation(get_snapshots: GetSnapshots, *checks: Check) -> App:
    """What `--metrics` serves: /metrics, /health/live and /health/ready."""
    app = App()
    app.add_route("/metrics", MetricsHandler(get_snapshots).answer)
    app.mount("/health", Health(*checks))
    return app


def observation_server(get_snapshots: GetSnapshots, place: tuple[str, int], *checks: Check) -> Server:
    """A server of that, bound, for `with`: in the process that outlives what it tells of. Raises ListenError."""
    server = Server(observation(get_snapshots, *checks), *place, threads=OBSERVERS, timeouts=TIMEOUTS)
    try:
        server.bind()
    except ListenError as error:
        raise ListenError(f"--metrics: {error}") from None
    return server


def parse_place(text: str) -> tuple[str, int]:
    """Host and port of "HOST:PORT", "[IPv6]:PORT" or ":PORT" (every address). Raises ConfigurationError."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535 or (":" in host and not bracketed):
        raise ConfigurationError(f"{text!r} is no HOST:PORT: write 127.0.0.1:9100, [::1]:9100 or :9100")
    return (host[1:-1] if bracketed else host), int(port)


def exposition(figures: Snapshot) -> str:
    """The figures as Prometheus reads them."""
    lines: list[str] = []
    for name, kind, meaning, samples in _families(figures):
        lines.append(f"# HELP firstbyte_{name} {meaning}")
        lines.append(f"# TYPE firstbyte_{name} {kind}")
        lines += [f"firstbyte_{name}{sample}" for sample in samples]
    return "\n".join(lines) + "\n"


Family = tuple[str, str, str, Iterable[str]]
"""Name, type, meaning, and the samples: what follows the name in each line."""


def _families(figures: Snapshot) -> list[Family]:
    endpoints = sorted(figures.endpoints.items())
    processes = figures.processes
    return [
        ("build_info", "gauge", "The version that runs.", [_sample(1, version=__version__)]),
        (
            "requests_total",
            "counter",
            "Requests whose answers were sent to their end.",
            [
                _sample(count, endpoint=name, method=key.split(" ")[0], status=key.split(" ")[1])
                for name, each in endpoints
                for key, count in sorted(each.requests.items())
            ],
        ),
        (
            "request_duration_seconds",
            "histogram",
            "From a request's complete head to the last byte of its answer.",
            [sample for name, each in endpoints for sample in _histogram(each.duration, endpoint=name)],
        ),
        (
            "queue_wait_seconds",
            "histogram",
            "How long requests waited for a thread, of those that had to.",
            _histogram(figures.queue_wait),
        ),
        ("requests_waiting", "gauge", "Requests that wait for a thread.", [_sample(figures.waiting)]),
        ("threads", "gauge", "Handlers that may run at once.", [_sample(figures.threads)]),
        ("threads_busy", "gauge", "Handlers that run in threads of their own.", [_sample(figures.threads_busy)]),
        (
            "connections",
            "gauge",
            "Open connections by what they wait for.",
            [_sample(count, state=state) for state, count in sorted(figures.connections.items())],
        ),
        ("connections_accepted_total", "counter", "Connections accepted.", [_sample(figures.accepted)]),
        ("accept_failures_total", "counter", "Times that accept failed.", [_sample(figures.accept_failures)]),
        (
            "rejections_total",
            "counter",
            "Requests that were refused before a handler saw them.",
            [_sample(count, rule=rule) for rule, count in sorted(figures.rejections.items())],
        ),
        ("cut_total", "counter", "Requests whose answers were not sent to their end.", [_sample(figures.cut)]),
        ("received_bytes_total", "counter", "Heads and bodies of requests.", [_sample(figures.bytes_in)]),
        ("sent_bytes_total", "counter", "Heads and bodies of answers.", [_sample(figures.bytes_out)]),
        ("workers", "gauge", "Processes that serve.", [_sample(len(processes))]),
        (
            "resident_memory_bytes",
            "gauge",
            "Memory of all workers; pages that they share count for each.",
            [_sample(sum(each.memory for each in processes))],
        ),
        ("cpu_seconds_total", "counter", "Processor time of all workers.", [_sample(figures.cpu)]),
        (
            "worker_resident_memory_bytes",
            "gauge",
            "Memory of a worker.",
            [_sample(each.memory, worker=each.worker) for each in processes],
        ),
        (
            "worker_cpu_seconds_total",
            "counter",
            "Processor time of a worker.",
            [_sample(each.cpu, worker=each.worker) for each in processes],
        ),
        (
            "worker_start_time_seconds",
            "gauge",
            "When a worker began, in Unix time.",
            [_sample(each.started, worker=each.worker) for each in processes],
        ),
    ]


def _sample(value: float, **labels: str) -> str:
    if not labels:
        return f" {value}"
    return "{" + ",".join(f'{name}="{_escape(text)}"' for name, text in labels.items()) + "} " + str(value)


def _histogram(histogram: Histogram, **labels: str) -> Iterator[str]:
    below = list(accumulate(histogram.counts))
    for bound, count in zip([*BOUNDS, "+Inf"], below, strict=True):
        yield "_bucket" + _sample(count, **labels, le=str(bound))
    yield "_sum" + _sample(histogram.sum, **labels)
    yield "_count" + _sample(below[-1], **labels)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


_: type[Handler] = MetricsHandler
