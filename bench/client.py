"""The command `python -m bench.client`: measures firstbyte's client beside its peers, on this machine in this run.

The server is firstbyte's own, on one core; each client runs alone on another, in a process and with the environment of
its own, rounds interleaved. What counts is the client's CPU time for each request (see `client_load`).
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from bench import machine, measure, peers, report
from bench.processes import Process, ended_by_signals, environment
from bench.servers import APPS, BUILD, HOST
from bench.targets import METRICS, Target, judge

LOAD = Path(__file__).parent / "client_load.py"
APP = f"{APPS / 'firstbyte_files_app.py'}:app"
PEERS = {"requests": "requests", "httpx": "httpx", "urllib3": "urllib3", "aiohttp": "aiohttp"}
"""Client -> distribution; what is not here comes with Python."""


@dataclass(frozen=True)
class Scenario:
    """What every client of `clients` does."""

    name: str
    about: str
    path: str
    clients: tuple[str, ...]
    windows: int = 1
    """In how many shorter ones the measured window of a round is cut, the clients in turn in each."""


SCENARIOS = (
    Scenario(
        "client_get",
        "`GET /` answers 13 bytes, over one kept connection, one request after the other.",
        "/",
        ("firstbyte", "http.client", "urllib3", "httpx", "requests"),
    ),
    Scenario("client_async", "client_get in an asyncio loop.", "/", ("firstbyte", "aiohttp", "httpx")),
    Scenario(
        "client_1000",
        "A thousand `GET /` at once in an asyncio loop, over a hundred connections at most.",
        "/",
        ("firstbyte", "aiohttp"),
    ),
    Scenario(
        "client_download",
        "100 MiB, taken in pieces and not kept; CPU is for each download.",
        "/large",
        ("firstbyte", "http.client", "urllib3", "httpx", "requests", "aiohttp"),
        windows=5,
    ),
)

TARGETS = (
    Target("client_get", "cpu_us", "requests", "<=", 0.12),
    Target("client_get", "cpu_us", "httpx", "<=", 0.22),
    Target("client_get", "cpu_us", "http.client", "<=", 0.80),
    Target("client_async", "cpu_us", "aiohttp", "<=", 0.60),
    Target("client_1000", "cpu_us", "aiohttp", "<=", 0.60),
    # Nearly all of it is the kernel's copying, the same for all: what is left is the noise of a ratio.
    *(
        Target("client_download", "per_second", name, ">=", 1.00)
        for name in SCENARIOS[-1].clients
        if name != "firstbyte"
    ),
)


def python_of(name: str) -> str:
    """The Python that has this client."""
    return str(peers.ENVIRONMENT / "bin/python") if name in PEERS else sys.executable


def run(scenario: Scenario, name: str, url: str, seconds: float, core: int) -> tuple[str, measure.Sample]:
    """One measured window of one client: its version and figures. Raises `NotMeasured`."""
    command = ["taskset", "-c", str(core), python_of(name), str(LOAD), name, scenario.name, url, str(seconds)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60 + 10 * seconds, env=environment(os.environ)
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise measure.NotMeasured(lines[-1] if lines else f"ended with status {done.returncode}")
    figures = json.loads(done.stdout)
    return figures["version"], measure.Sample(
        cpu_us=figures["cpu"] / figures["requests"] * 1e6,
        per_second=figures["requests"] / figures["wall"],
        p99_ms=0.0,
        rss_mib=0.0,
        errors=0,
        others=0.0,
    )


def table(rows: list[measure.Row]) -> str:
    """Markdown: the figures of one scenario."""
    ours = next((row.median("cpu_us") for row in rows if row.server == "firstbyte" and row.samples), None)
    cells = [["client", "version", METRICS["cpu_us"], METRICS["per_second"], "× firstbyte"]]
    for row in rows:
        if row.samples:
            cpu = row.median("cpu_us")
            ratio = f"{cpu / ours:.2f}" if ours else "–"
            cells.append([row.server, row.version, report.cpu_cell(row), f"{row.median('per_second'):,.1f}", ratio])
        else:
            cells.append([row.server, row.version, "–", "–", row.failure or "–"])
    return report.markdown(cells)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--scenario",
    "names",
    multiple=True,
    type=click.Choice([scenario.name for scenario in SCENARIOS]),
    help="Only this scenario; repeatable.",
)
@click.option("--seconds", default=3, show_default=True, type=click.IntRange(1), help="Length of each measured window.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Rounds; medians count.")
@click.option("--check", is_flag=True, help="Status 1 unless all targets are met.")
def main(names: tuple[str, ...], seconds: int, rounds: int, check: bool) -> None:
    """Measure firstbyte's client beside its peers, and print a Markdown report with its targets."""

    def say(text: str) -> None:
        click.echo(text, err=True)

    peers.create_environment(say)
    for failure in peers.install_requirements(set(PEERS.values()), say):
        say(failure)
    server_core, load_core = machine.pick_cores()
    results: dict[str, list[measure.Row]] = {}
    text = [
        f"# firstbyte's client beside its peers\n\n{machine.description()}; medians of {rounds} interleaved rounds."
    ]
    port = measure.free_port()
    program = str(Path(sys.executable).parent / "firstbyte")
    command = [program, "run", APP, "--host", HOST, "--port", str(port), "--no-access-log"]
    log = BUILD / "logs" / "client-server.log"
    with ended_by_signals(), Process(command, server_core, log) as process:
        measure.wait_until_listening(process, port)
        for scenario in SCENARIOS:
            if names and scenario.name not in names:
                continue
            rows = {name: measure.Row(name, "") for name in scenario.clients}
            count = rounds * scenario.windows
            for number in range(1, count + 1):
                for name, row in rows.items():
                    if row.failure is not None:
                        continue
                    url = f"http://{HOST}:{port}{scenario.path}"
                    try:
                        row.version, sample = run(scenario, name, url, seconds / scenario.windows, load_core)
                    except (measure.NotMeasured, subprocess.TimeoutExpired) as reason:
                        row.failure = str(reason)
                        say(f"{scenario.name} {name}: {reason}")
                    else:
                        row.samples.append(sample)
                        say(f"{scenario.name:<16} {number}/{count} {name:<12} {sample.cpu_us:10.1f} µs/req")
            results[scenario.name] = list(rows.values())
            text.append(f"## {scenario.name}\n\n{scenario.about}\n\n{table(results[scenario.name])}")
    verdicts = judge(results, TARGETS)
    text.append(report.target_list(verdicts))
    click.echo("\n\n".join(text))
    if check and not all(verdict.passed for verdict in verdicts):
        sys.exit(1)


if __name__ == "__main__":
    main(prog_name="python -m bench.client")
