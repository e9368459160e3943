"""What it costs to import a framework and begin with an application of 200 routes: `python -m bench.start`.

Processor time of a process that does that and ends, without what Python itself takes; the median of several, in turns.
"""

import os
import resource
import statistics
import subprocess
import sys

import click

from bench import peers
from bench.peers import ENVIRONMENT
from bench.processes import environment
from bench.servers import ROOT, SERVERS

LIMIT = 0.30
"""Of FastAPI's, at most."""

FIRSTBYTE = """
from firstbyte import App
app = App()
def add(number):
    @app.get(f"/r{number}/{{id}}", name=f"r{number}")
    def view(id: int, page: int = 1):
        return {"id": id, "page": page}
for number in range(200):
    add(number)
app.is_async  # it is composed
"""
FASTAPI = """
import uvicorn
from fastapi import FastAPI
app = FastAPI()
def add(number):
    @app.get(f"/r{number}/{{id}}", name=f"r{number}")
    async def view(id: int, page: int = 1):
        return {"id": id, "page": page}
for number in range(200):
    add(number)
uvicorn.Config(app).load()
"""


def cpu_seconds(python: str, program: str) -> float:
    """The processor time of a Python that runs a program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, "-c", program], cwd=ROOT, env=environment(os.environ), check=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", default=9, show_default=True, type=click.IntRange(1))
def main(rounds: int) -> None:
    """Compare the start of firstbyte with that of FastAPI on uvicorn; status 1 unless it is within the limit."""
    found = peers.prepare([each for each in SERVERS if each.name == "fastapi"], lambda text: click.echo(text, err=True))
    if "fastapi" in found.missing:
        raise click.ClickException(found.missing["fastapi"])
    theirs = str(ENVIRONMENT / "bin" / "python")
    programs = {
        "firstbyte": (sys.executable, FIRSTBYTE),
        "fastapi": (theirs, FASTAPI),
        "Python": (sys.executable, "pass"),
    }
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, (python, program) in programs.items():
            times[name].append(cpu_seconds(python, program))
    medians = {name: statistics.median(each) for name, each in times.items()}
    bare = medians.pop("Python")
    for name, median in medians.items():
        click.echo(f"{name:10} {(median - bare) * 1e3:7.1f} ms of CPU to start with 200 routes")
    ratio = (medians["firstbyte"] - bare) / (medians["fastapi"] - bare)
    click.echo(f"{ratio:.2f} of FastAPI's, {'within' if ratio <= LIMIT else 'OVER'} {LIMIT}")
    sys.exit(ratio > LIMIT)


if __name__ == "__main__":
    main()
