"""The command `python -m bench.rooms`: what a broadcast to a thousand members costs, beside a loop over `websockets`.

The members offer compression, as browsers do; whether a server takes that is its own affair. They are plain sockets in
this process, on one core; the server is alone on another. What counts is its CPU time for each message that a member
gets.
"""

import base64
import os
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import click

from bench import machine, measure, report
from bench.processes import Process, ended_by_signals
from bench.servers import APPS, BUILD, HOST

LIMIT = 0.50  # of the CPU of a loop over `websockets` connections as they are without options
FRAME = bytes((0x81, 0x80 | 100)) + bytes(4) + b"x" * 100  # masked with zeros: as it is
KEY = base64.b64encode(bytes(16)).decode()


@dataclass
class Row:
    """One server."""

    name: str
    command: list[str]
    cpu_us: list[float] = field(default_factory=list)
    rss_kib: float = 0.0


def rows() -> list[Row]:
    """The servers, each with `{port}` in its command."""
    firstbyte = str(Path(sys.executable).parent / "firstbyte")
    app, peer = str(APPS / "rooms_app.py"), str(APPS / "websockets_broadcast.py")
    return [
        Row("firstbyte", [firstbyte, "run", f"{app}:app", "--port", "{port}", "--no-access-log"]),
        Row("websockets, loop", [sys.executable, peer, "loop", "deflate", "{port}"]),
        Row("websockets, loop, no compression", [sys.executable, peer, "loop", "", "{port}"]),
        Row("websockets, broadcast(), no compression", [sys.executable, peer, "broadcast", "", "{port}"]),
    ]


def join(port: int) -> socket.socket:
    """A member that has got its first message."""
    sock = socket.create_connection((HOST, port), 20)
    sock.sendall(
        f"GET / HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n".encode()
    )
    data = b""
    while not is_whole(data.partition(b"\r\n\r\n")[2]):
        piece = sock.recv(65536)
        if not piece:
            raise measure.NotMeasured("a member was not let in")
        data += piece
    sock.setblocking(False)
    return sock


def is_whole(data: bytes) -> bool:
    """Whether this is one short frame, or a few."""
    while len(data) >= 2:
        size = 2 + data[1] if data[1] < 126 else 4 + int.from_bytes(data[2:4], "big")
        if len(data) == size:
            return True
        data = data[size:]
    return False


def broadcast(members: list[socket.socket], poll: select.epoll) -> None:
    """One member speaks; returns when all have heard it."""
    waiting = set(members)
    by_number = {member.fileno(): member for member in members}
    members[0].sendall(FRAME)
    until = time.monotonic() + 20
    while waiting:
        for number, _ in poll.poll(1):
            data = by_number[number].recv(65536)
            if not is_whole(data):
                raise measure.NotMeasured(f"a member heard {data[-100:]!r}")
            waiting.discard(by_number[number])
        if time.monotonic() > until:
            raise measure.NotMeasured(f"{len(waiting)} members heard nothing for 20 s")


def run(row: Row, count: int, messages: int, core: int) -> None:
    """One measurement: a new server with all its members."""
    port = measure.free_port()
    command = [part.format(port=port) for part in row.command]
    with Process(command, core, BUILD / "logs" / "rooms.log") as process:
        measure.wait_until_listening(process, port)
        before = process.resident_mib()
        members = [join(port) for _ in range(count)]
        with select.epoll() as poll:
            for member in members:
                poll.register(member, select.EPOLLIN)
            row.rss_kib = (process.resident_mib() - before) * 1024 / count
            broadcast(members, poll)
            began = process.cpu_seconds()
            for _ in range(messages):
                broadcast(members, poll)
            row.cpu_us.append((process.cpu_seconds() - began) / messages / count * 1e6)
        for member in members:
            member.close()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--members", default=1000, show_default=True, type=click.IntRange(1), help="How many hear it.")
@click.option("--messages", default=100, show_default=True, type=click.IntRange(1), help="How many are sent.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Rounds; medians count.")
@click.option("--check", is_flag=True, help="Status 1 unless the target is met.")
def main(members: int, messages: int, rounds: int, check: bool) -> None:
    """Measure a broadcast, and print a Markdown table with its target."""
    server_core, load_core = machine.pick_cores()
    os.sched_setaffinity(0, {load_core})
    found = rows()
    with ended_by_signals():
        for number in range(1, rounds + 1):
            for row in found:
                run(row, members, messages, server_core)
                click.echo(f"{number}/{rounds} {row.name:<40} {row.cpu_us[-1]:8.2f} µs a member", err=True)
    ours = median(found[0].cpu_us)
    cells = [["server", "CPU µs/member", "× firstbyte", "KiB/member"]]
    cells += [
        [row.name, f"{median(row.cpu_us):.2f}", f"{median(row.cpu_us) / ours:.2f}", f"{row.rss_kib:.1f}"]
        for row in found
    ]
    ratio = ours / median(found[1].cpu_us)
    click.echo(f"A message of 100 bytes to {members} members.\n\n{report.markdown(cells)}\n")
    click.echo(f"- {'pass' if ratio <= LIMIT else 'FAIL'}: {ratio:.2f} of a loop over websockets, at most {LIMIT:.2f}")
    if check and ratio > LIMIT:
        sys.exit(1)


if __name__ == "__main__":
    main(prog_name="python -m bench.rooms")
