"""The text that Prometheus reads, held to the parser of its own client library, and the pages beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from engine.support import Client
from firstbyte import App, Server
from firstbyte.cli.metrics import exposition, observation, observation_server, parse_place
from firstbyte.engine.metrics import BOUNDS, EndpointFigures, Histogram, Metrics, Process, Snapshot
from firstbyte.errors import ConfigurationError, ListenError

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    """Sample name without its prefix, and labels, to value."""
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            key = (sample.name.removeprefix("firstbyte_"), frozenset(sample.labels.items()))
            assert key not in samples
            samples[key] = sample.value
    return samples


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_every_figure_is_told() -> None:
    histogram = Histogram()
    for seconds in (0.0002, 0.02, 0.02, 100):
        histogram.observe(seconds)
    samples = parsed(
        exposition(
            Snapshot(
                endpoints={"page": EndpointFigures({"GET 200": 3, "other 404": 1}, histogram)},
                queue_wait=histogram, rejections={"bare-lf": 2}, cut=3, accepted=4, accept_failures=5, bytes_in=6,
                bytes_out=2**60, cpu=8.5, connections={"head": 9, "body": 0}, threads=64, threads_busy=10, waiting=11,
                processes=[Process("1", 100, 2000, 3.5, 1.5e9), Process("2", 101, 3000, 4.5, 1.6e9)],
            )
        )
    )  # fmt: skip
    assert of(samples, "requests_total", endpoint="page", method="GET", status="200") == 3
    assert of(samples, "requests_total", endpoint="page", method="other", status="404") == 1
    assert of(samples, "request_duration_seconds_bucket", endpoint="page", le="0.0001") == 0
    assert of(samples, "request_duration_seconds_bucket", endpoint="page", le="0.00025") == 1
    assert of(samples, "request_duration_seconds_bucket", endpoint="page", le="10.0") == 3
    assert of(samples, "request_duration_seconds_bucket", endpoint="page", le="+Inf") == 4
    assert of(samples, "request_duration_seconds_count", endpoint="page") == 4
    assert of(samples, "request_duration_seconds_sum", endpoint="page") == pytest.approx(100.0402)
    assert of(samples, "queue_wait_seconds_count") == 4
    assert of(samples, "rejections_total", rule="bare-lf") == 2
    assert of(samples, "connections", state="head") == 9
    assert of(samples, "worker_resident_memory_bytes", worker="2") == 3000
    assert of(samples, "worker_cpu_seconds_total", worker="1") == 3.5
    assert of(samples, "worker_start_time_seconds", worker="1") == 1.5e9
    plain = {name: value for (name, labels), value in samples.items() if not labels}
    assert plain == plain | {
        "cut_total": 3, "connections_accepted_total": 4, "accept_failures_total": 5, "received_bytes_total": 6,
        "sent_bytes_total": 2**60, "cpu_seconds_total": 8.5, "threads": 64, "threads_busy": 10, "requests_waiting": 11,
        "workers": 2, "resident_memory_bytes": 5000,
    }  # fmt: skip


def test_a_fresh_process_has_all_its_figures() -> None:
    samples = parsed(exposition(Snapshot()))
    assert of(samples, "queue_wait_seconds_bucket", le="+Inf") == 0
    assert len([name for name, _ in samples if name == "queue_wait_seconds_bucket"]) == len(BOUNDS) + 1


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_name_is_a_label(name: str) -> None:
    samples = parsed(exposition(Snapshot(endpoints={name: EndpointFigures({"GET 200": 1})})))
    assert of(samples, "requests_total", endpoint=name, method="GET", status="200") == 1


def get(port: int, path: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
    client = Client(port).send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    status, fields, body = client.read(method == "HEAD")
    client.close()
    return status, fields, body.decode()


def test_metrics_and_health_of_a_server() -> None:
    reasons: list[str] = []
    counting = Metrics()
    with (
        Server(App(), port=0, observers=[counting]) as server,
        observation_server(
            lambda: [counting.snapshot(server)], ("127.0.0.1", 0), lambda: "".join(reasons)
        ) as observing,
    ):
        get(server.port, "/")
        status, fields, text = get(observing.port, "/metrics")
        assert (status, fields["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert of(parsed(text), "workers") == 1
        assert get(observing.port, "/metrics", "HEAD")[0] == 200
        assert get(observing.port, "/metrics", "POST")[0] == 405
        assert get(observing.port, "/other")[0] == 404
        assert get(observing.port, "/health/ready")[::2] == (200, "ready\n")
        reasons.append("draining")
        assert get(observing.port, "/health/ready")[::2] == (503, "draining\n")
        assert get(observing.port, "/health/live")[0] == 200


def test_several_workers_are_one_text() -> None:
    app = observation(lambda: [Snapshot(accepted=1), Snapshot(accepted=2)])
    with Server(app, port=0) as server:
        assert of(parsed(get(server.port, "/metrics")[2]), "connections_accepted_total") == 3


@pytest.mark.parametrize(
    ("text", "place"),
    [("127.0.0.1:9100", ("127.0.0.1", 9100)), ("[::1]:0", ("::1", 0)), (":80", ("", 80)), ("a:65535", ("a", 65535))],
)
def test_a_place(text: str, place: tuple[str, int]) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["", "9100", "host", "host:", "host:x", "host:-1", "host:65536", "::1:9100", "a:b:1"])
def test_no_place(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no HOST:PORT: write"):
        parse_place(text)


def test_an_address_that_is_taken_names_the_option() -> None:
    with Server(App(), port=0) as server, pytest.raises(ListenError, match=r"^--metrics: port \d+ is taken"):
        observation_server(list, ("127.0.0.1", server.port))
