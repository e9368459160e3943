"""The load: wrk on its own core, and what it counted."""

import json
import math
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.scenarios import Scenario
from bench.servers import HOST

SCRIPT = Path(__file__).parent / "load.lua"


class LoadFailed(Exception):
    """wrk did not run to its end; says what it printed last."""


@dataclass(frozen=True)
class Load:
    """What wrk saw in one window. A request counts when its response is complete."""

    requests: int
    seconds: float
    latencies: dict[int, int]
    """How many answers took how many microseconds; with pipelining, each is of a whole batch."""
    errors: dict[str, int]
    """By kind: connect, read, write, timeout (2 s without an answer), status (400 and above)."""

    @property
    def error_count(self) -> int:
        return sum(self.errors.values())

    def percentile_ms(self, percent: float) -> float:
        """The latency in milliseconds that `percent` of the answers did not exceed; 0 when there were none."""
        rank, seen = math.ceil(sum(self.latencies.values()) * percent / 100), 0
        for microseconds, count in sorted(self.latencies.items()):
            seen += count
            if seen >= rank:
                return microseconds / 1000
        return 0.0


def run_wrk(scenario: Scenario, port: int, seconds: int, core: int, wrk: str = "wrk") -> Load:
    """Load a server for `seconds`, from one thread on `core`. Raises `LoadFailed`."""
    command = wrk_command(scenario, port, seconds, core, wrk)
    try:
        # On any exception, Ctrl+C included, `run` kills wrk before it passes the exception on.
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds + 30, check=False
        )
    except subprocess.TimeoutExpired as problem:
        raise LoadFailed(f"wrk did not end within {problem.timeout:.0f} s") from problem
    return parse(done.stdout, done.stderr, scenario.connections)


def wrk_command(scenario: Scenario, port: int, seconds: int, core: int, wrk: str = "wrk") -> list[str]:
    command = ["taskset", "-c", str(core), wrk, "--threads", "1", "--connections", str(scenario.connections)]
    command += ["--duration", f"{seconds}s", "--script", str(SCRIPT)]
    for name, value in scenario.headers:
        command += ["--header", f"{name}: {value}"]
    arguments = [str(scenario.pipeline), str(scenario.upload), scenario.sends]
    return [*command, f"http://{HOST}:{port}{scenario.path}", "--", *arguments]


def parse(stdout: str, stderr: str, connections: int) -> Load:
    """Read the line that load.lua ends with. Raises `LoadFailed` with wrk's own words when it is not there."""
    for line in stdout.splitlines():
        if line.startswith("result "):
            result = json.loads(line.removeprefix("result "))
            requests, microseconds = result["requests"], result["microseconds"]
            rounds = requests // connections
            latencies = dict(result["latencies"])
            if rounds:
                latencies = as_measured(latencies, microseconds // rounds)
            return Load(requests, microseconds / 1e6, latencies, result["errors"])
    words = (stderr.strip() or stdout.strip() or "nothing").splitlines()
    raise LoadFailed(f"wrk printed no result: {words[-1]}")


def as_measured(latencies: Mapping[int, int], interval: int) -> dict[int, int]:
    """Take back wrk's correction for coordinated omission: the latencies as they were.

    For an answer that took several times `interval` (microseconds between two requests of a connection, on average) wrk
    adds the answers that would have waited, had requests gone on coming at that rate: one of latency - interval, of
    latency - 2 * interval, and so on while above `interval`. The rate being the server's own, a server is charged the
    more for one slow answer the faster it gives all others, which turns a comparison on its head. wrk corrects upwards
    from 2 * interval, each latency by its count before any correction, so going downwards gives those counts back.
    """
    measured = dict(latencies)
    for latency in sorted(latencies, reverse=True):
        count = measured[latency]
        if latency < 2 * interval or not count:
            continue
        for added in range(latency - interval, interval, -interval):
            # What wrk added below the shortest latency that it saw, it does not list.
            if added in measured:
                measured[added] -= count
    return {latency: count for latency, count in measured.items() if count > 0}
