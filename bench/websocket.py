"""The command `python -m bench.websocket`: what an echo of 100 bytes costs, and what an open WebSocket holds.

The load is a loop in C on one core (`ws_load.c`): 64 connections, each with one message on its way. The server is alone
on another, without compression. What counts is its CPU time for each message; then, with 5,000 connections open and one
message a second among them all, its memory for each.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import click

from bench import machine, measure, peers, report
from bench.processes import Process, ended_by_signals
from bench.scenarios import Scenario
from bench.servers import APPS, BUILD, Launch, Server, firstbyte, uvicorn

SCENARIO = Scenario("websocket", "", "/", "", b"", app="firstbyte_websocket_app:app")
OPEN_KIB = 30.0
TARGETS = {"websockets": 0.80, "uvicorn-websockets": 0.80, "uvicorn-wsproto": 0.80, "picows": 1.30}
"""At most so much of a peer's CPU for each message."""


def uvicorn_with(library: str) -> list[str]:
    return ["--ws", library, "--ws-per-message-deflate", "false"]


def script(name: str) -> Server:
    """A peer that has no command line: run_NAME.py is one."""
    return Server(
        name, "asgi", "pip",
        lambda launch: [launch.programs["python"], str(APPS / f"run_{name}.py"), str(launch.port)], (name, "uvloop"),
    )  # fmt: skip


SERVERS = (
    Server("firstbyte", "firstbyte", "firstbyte", firstbyte),
    script("picows"),
    script("websockets"),
    *(
        Server(
            f"uvicorn-{package}", "asgi", "pip",
            lambda launch, library=library: [*uvicorn("asgi_websocket")(launch), *uvicorn_with(library)],  # type: ignore[misc]
            ("uvicorn", package, "uvloop", "httptools"),
        )
        for package, library in (("websockets", "websockets-sansio"), ("wsproto", "wsproto"))
    ),
)  # fmt: skip


@dataclass
class Row:
    """One server."""

    server: Server
    cpu_us: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)


def load_program() -> str:
    """The load, compiled."""
    binary = BUILD / "ws_load"
    compiler = peers.program("gcc", "gcc", click.echo)
    BUILD.mkdir(exist_ok=True)
    subprocess.run([compiler, "-O2", "-o", str(binary), str(Path(__file__).parent / "ws_load.c")], check=True)
    return str(binary)


def load(program: str, port: int, connections: int, seconds: float, mode: str, core: int) -> dict[str, float]:
    """What the load counted."""
    command = ["taskset", "-c", str(core), program, str(port), "/", str(connections), str(seconds), "100", mode]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise measure.NotMeasured(done.stderr.strip() or "the load failed")
    counted: dict[str, float] = json.loads(done.stdout)
    return counted


def echo(row: Row, program: str, found: peers.Peers, seconds: float, cores: tuple[int, int]) -> None:
    """One window of one server, started anew."""
    port = measure.free_port()
    command = row.server.command(Launch(SCENARIO, port, found.programs))
    with Process(command, cores[0], BUILD / "logs" / f"websocket-{row.server.name}.log") as process:
        measure.wait_until_listening(process, port)
        load(program, port, 64, 0.5, "echo", cores[1])
        before = process.cpu_seconds()
        counted = load(program, port, 64, seconds, "echo", cores[1])
        row.cpu_us.append((process.cpu_seconds() - before) / counted["messages"] * 1e6)
        row.per_second.append(counted["messages"] / counted["seconds"])


def held(program: str, found: peers.Peers, count: int, cores: tuple[int, int]) -> float:
    """KiB that firstbyte holds for each of so many open WebSockets, with a message a second."""
    port = measure.free_port()
    machine.allow_open_files()
    command = SERVERS[0].command(Launch(SCENARIO, port, found.programs))
    with Process(command, cores[0], BUILD / "logs" / "websocket-open.log") as process:
        measure.wait_until_listening(process, port)
        load(program, port, 64, 0.5, "echo", cores[1])
        before = process.resident_mib()
        command = ["taskset", "-c", str(cores[1]), program, str(port), "/", str(count), "10", "100", "idle"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as opened:
            assert opened.stdout is not None
            opened.stdout.readline()  # it says when all are open
            after = process.resident_mib()
            opened.stdout.read()  # its last line, which it could not write to a pipe that is closed
        if opened.returncode:
            raise measure.NotMeasured("the idle load failed")
    return (after - before) * 1024 / count


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seconds", default=3.0, show_default=True, help="Length of each window.")
@click.option(
    "--rounds", default=3, show_default=True, type=click.IntRange(1), help="Interleaved rounds; medians count."
)
@click.option("--open", "count", default=5000, show_default=True, help="WebSockets to hold open; 0 for none.")
@click.option("--check", is_flag=True, help="Status 1 unless the targets are met.")
def main(seconds: float, rounds: int, count: int, check: bool) -> None:
    """Measure an echo beside its peers, and what is held open, and print a Markdown table with the targets."""
    cores = machine.pick_cores()
    program = load_program()
    kib = None
    with ended_by_signals():
        found = peers.prepare(SERVERS, lambda text: click.echo(text, err=True))
        rows = [Row(server) for server in SERVERS if server.name in found.versions]
        for number in range(1, rounds + 1):
            for row in rows:
                echo(row, program, found, seconds, cores)
                click.echo(f"{number}/{rounds} {row.server.name:<20} {row.cpu_us[-1]:8.2f} µs a message", err=True)
        if count:
            kib = held(program, found, count, cores)
    ours = median(rows[0].cpu_us)
    cells = [["server", "version", "CPU µs/message", "messages/s", "× firstbyte"]]
    for row in rows:
        cpu = median(row.cpu_us)
        version = found.versions[row.server.name]
        cells.append([row.server.name, version, f"{cpu:.2f}", f"{median(row.per_second):,.0f}", f"{cpu / ours:.2f}"])
    click.echo(f"An echo of 100 bytes on 64 connections.\n\n{report.markdown(cells)}\n")
    passed = True
    for row in rows[1:]:
        ratio, limit = ours / median(row.cpu_us), TARGETS[row.server.name]
        passed = passed and ratio <= limit
        click.echo(f"- {'pass' if ratio <= limit else 'FAIL'}: {ratio:.2f} of {row.server.name}, at most {limit:.2f}")
    if kib is not None:
        passed = passed and kib < OPEN_KIB
        click.echo(
            f"- {'pass' if kib < OPEN_KIB else 'FAIL'}: {kib:.1f} KiB for each of {count:,} open, under {OPEN_KIB:.0f}"
        )
    if check and not passed:
        sys.exit(1)


if __name__ == "__main__":
    main(prog_name="python -m bench.websocket")
