"""From the start of a file server to its first answer, beside http.server: `python -m bench.first_answer`.

Of several starts in turns the least processor time of each, and the least time by the clock: what else runs on the
machine only ever adds. The first round, in which Python writes its bytecode, does not count.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from bench.processes import environment

COMMANDS = {
    "http.server": ["-m", "http.server", "PORT", "--bind", "127.0.0.1", "--directory", "FOLDER"],
    "firstbyte": ["-m", "firstbyte", "PORT", "--bind", "127.0.0.1", "--directory", "FOLDER"],
    "firstbyte serve": ["-m", "firstbyte", "serve", "FOLDER", "--port", "PORT"],
    "firstbyte run": ["-m", "firstbyte", "run", "FOLDER/app.py", "--port", "PORT"],
}
APP = """
from firstbyte import App
app = App()
app.add_route("/index.html", lambda: "hello")
"""
REQUEST = b"GET /index.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
PATIENCE = 30.0  # seconds
LIMIT = 1.0
"""Of http.server's, at most, for a folder."""


def first_answer(command: list[str], folder: str) -> tuple[float, float]:
    """Seconds of processor time, and by the clock, from the start of a server until it has answered once."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    words = [word.replace("PORT", str(port)).replace("FOLDER", folder) for word in command]
    began = time.perf_counter()
    process = subprocess.Popen(
        # In the folder, since a pyproject.toml of this package would be looked at for options.
        [sys.executable, *words],
        cwd=folder, env=environment(os.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not _answers(port):
            if time.perf_counter() - began > PATIENCE:
                raise click.ClickException(f"no answer: {' '.join(words)}")
            time.sleep(0.001)
        seconds = time.perf_counter() - began
    finally:
        process.kill()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status  # it is gone: nobody is to wait for it again
    return usage.ru_utime + usage.ru_stime, seconds


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
            sock.sendall(REQUEST)
            return b" 200 " in sock.makefile("rb").readline()
    except ConnectionRefusedError:
        return False


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(1))
def main(rounds: int) -> None:
    """Compare the start of firstbyte with that of http.server; status 1 unless folders are within the limit."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "index.html").write_text("hello")
        Path(folder, "app.py").write_text(APP)
        for count in range(rounds + 1):
            for name, command in COMMANDS.items():
                taken = first_answer(command, folder)
                if count:
                    times[name].append(taken)
    least = {name: [min(each) for each in zip(*taken, strict=True)] for name, taken in times.items()}
    theirs = least["http.server"]
    for name, (cpu, clock) in least.items():
        click.echo(
            f"{name:16} {cpu * 1e3:6.1f} ms of CPU, {clock * 1e3:6.1f} ms by the clock; "
            f"{cpu / theirs[0]:.2f} and {clock / theirs[1]:.2f} of http.server's"
        )
    sys.exit(any(least[name][0] > LIMIT * theirs[0] for name in ("firstbyte", "firstbyte serve")))


if __name__ == "__main__":
    main()
