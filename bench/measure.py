"""Measures: each server alone, started anew for each round, rounds interleaved so that noise falls on all alike."""

import socket
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from bench import answers, machine
from bench.load import LoadFailed, run_wrk
from bench.peers import Peers
from bench.processes import Process
from bench.scenarios import Scenario
from bench.servers import BUILD, HOST, Launch, Server

START_TIMEOUT = 20.0
"""Seconds a server has to accept its first connection."""


class NotMeasured(Exception):
    """No figure for this server in this scenario; says why, with the server's own last words where that helps."""


@dataclass(frozen=True)
class Sample:
    """One measured window of one server."""

    cpu_us: float
    """CPU time of the server's process tree per request, in microseconds."""
    per_second: float
    p99_ms: float
    rss_mib: float
    errors: int
    others: float
    """What everything else on the two cores took meanwhile, as a share of one core: the noise."""


@dataclass
class Row:
    """All that is known of one server in one scenario: a sample for each round, or why there is none."""

    server: str
    version: str
    samples: list[Sample] = field(default_factory=list)
    failure: str | None = None
    omits: frozenset[str] = frozenset()

    def median(self, metric: str) -> float:
        """The median over the rounds of one of `Sample`'s figures."""
        return float(statistics.median(getattr(sample, metric) for sample in self.samples))

    def spread(self, metric: str) -> tuple[float, float]:
        values = [getattr(sample, metric) for sample in self.samples]
        return min(values), max(values)

    @property
    def errors(self) -> int:
        return sum(sample.errors for sample in self.samples)


@dataclass(frozen=True)
class Plan:
    """How long and how often, on which cores, with which wrk."""

    seconds: int
    rounds: int
    server_core: int
    load_core: int
    wrk: str

    @property
    def warm_up(self) -> int:
        return max(1, self.seconds // 4)

    def duration(self, measurements: int) -> float:
        """About how many seconds this many measurements in each round take; one goes to starting and ending each."""
        return float(measurements * self.rounds * (self.seconds + self.warm_up + 1))


def run_scenario(
    scenario: Scenario, servers: Iterable[Server], peers: Peers, plan: Plan, say: Callable[[str], None]
) -> list[Row]:
    """A row for each server that can do the scenario, those that failed included. `say` is told of each step."""
    able = able_servers(scenario, servers, peers)
    rows = {server.name: Row(server.name, peers.versions[server.name], omits=server.omits) for server in able}
    for number in range(1, plan.rounds + 1):
        for server in able:
            row = rows[server.name]
            if row.failure is not None:
                continue
            where = f"{scenario.name:<11} {number}/{plan.rounds} {server.name:<17}"
            try:
                sample = measure(scenario, server, peers, plan)
            except NotMeasured as reason:
                row.failure = str(reason)
                say(f"{where} {row.failure.splitlines()[0]}")
            else:
                row.samples.append(sample)
                errors = f"  {sample.errors} ERRORS" if sample.errors else ""
                say(f"{where} {sample.cpu_us:8.1f} µs/req {sample.per_second:10,.0f} req/s{errors}")
    return list(rows.values())


def able_servers(scenario: Scenario, servers: Iterable[Server], peers: Peers) -> list[Server]:
    """Those of the servers that can do the scenario and could be installed."""
    return [server for server in servers if server.interface in scenario.interfaces and server.name in peers.versions]


def measure(scenario: Scenario, server: Server, peers: Peers, plan: Plan) -> Sample:
    """Start a server, check its answers, warm it up, load it for one window, end it. Raises `NotMeasured`."""
    port = free_port()
    launch = Launch(scenario, port, peers.programs, free_port() if scenario.behind else 0)
    log = BUILD / "logs" / f"{scenario.name}-{server.name}.log"
    if scenario.idle:
        machine.allow_open_files()
    with (
        Process(server.command(launch), plan.server_core, log) as process,
        started_behind(launch, plan.load_core) if scenario.behind else nullcontext(),
    ):
        try:
            wait_until_listening(process, port)
            answers.check(scenario, port, server.omits)
            with answers.idle_connections(port, scenario.idle):
                run_wrk(scenario, port, plan.warm_up, plan.load_core, plan.wrk)
                return measure_window(scenario, process, port, plan)
        except answers.WrongAnswer as problem:
            raise NotMeasured(str(problem)) from problem
        except (LoadFailed, OSError) as problem:
            raise NotMeasured(f"{problem}\n{process.last_words()}") from problem


@contextmanager
def started_behind(launch: Launch, core: int) -> Iterator[None]:
    """The server behind a proxy. Raises `NotMeasured`."""
    command = [launch.programs["epoll_hello"], str(launch.behind)]
    with Process(command, core, BUILD / "logs" / "behind.log") as process:
        wait_until_listening(process, launch.behind)
        yield


def measure_window(scenario: Scenario, process: Process, port: int, plan: Plan) -> Sample:
    """The figures of one window. CPU is read right before wrk starts and right after it has ended.

    So the server's work for opening and closing the connections is in it, and for the requests that were under way when
    wrk stopped counting: at most one batch for each connection, of tens of thousands of requests.
    """
    cores = {plan.server_core, plan.load_core}
    busy, ours = machine.busy_seconds(cores), machine.children_seconds()
    cpu, start = process.cpu_seconds(), time.perf_counter()
    load = run_wrk(scenario, port, plan.seconds, plan.load_core, plan.wrk)
    elapsed = time.perf_counter() - start
    cpu = process.cpu_seconds() - cpu
    busy, ours = machine.busy_seconds(cores) - busy, machine.children_seconds() - ours
    if (status := process.exit_status()) is not None:
        raise NotMeasured(f"ended under load with status {status}\n{process.last_words()}")
    if not load.requests:
        raise NotMeasured(f"answered no request under load ({load.error_count} errors)\n{process.last_words()}")
    return Sample(
        cpu_us=cpu / load.requests * 1e6,
        per_second=load.requests / load.seconds,
        p99_ms=load.percentile_ms(99),
        rss_mib=process.resident_mib(),
        errors=load.error_count,
        others=max(0.0, busy - cpu - ours) / elapsed,
    )


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_until_listening(process: Process, port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            pass
        else:
            return
        if (status := process.exit_status()) is not None:
            raise NotMeasured(f"did not come up, ended with status {status}\n{process.last_words()}")
        if time.monotonic() > deadline:
            raise NotMeasured(f"did not listen within {START_TIMEOUT:.0f} s\n{process.last_words()}")
        time.sleep(0.02)
