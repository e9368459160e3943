"""The command: `python -m bench`; see `--help`."""

import sys
from datetime import date
from pathlib import Path

import click

from bench import machine, measure, peers, processes, report, targets
from bench.scenarios import SCENARIOS
from bench.servers import SERVERS


def say(text: str) -> None:
    """Progress goes to standard error: standard output is the report."""
    click.echo(text, err=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--scenario",
    "scenario_names",
    multiple=True,
    type=click.Choice([scenario.name for scenario in SCENARIOS]),
    help="Only this scenario; repeatable.",
)
@click.option(
    "--server",
    "server_names",
    multiple=True,
    type=click.Choice([server.name for server in SERVERS]),
    help="Only this server; repeatable.",
)
@click.option("--seconds", default=4, show_default=True, type=click.IntRange(1), help="Length of each measured window.")
@click.option(
    "--rounds", default=3, show_default=True, type=click.IntRange(1), help="Interleaved rounds; medians count."
)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the report to this file too.")
@click.option("--check", is_flag=True, help="List the targets with pass or fail; status 1 unless all are met.")
def main(
    scenario_names: tuple[str, ...],
    server_names: tuple[str, ...],
    seconds: int,
    rounds: int,
    output: Path | None,
    check: bool,
) -> None:
    """Measure firstbyte beside its peers, on this machine in this run, and print a Markdown report."""
    scenarios = [scenario for scenario in SCENARIOS if not scenario_names or scenario.name in scenario_names]
    servers = [server for server in SERVERS if not server_names or server.name in server_names]
    try:
        wrk = peers.program("wrk", "wrk", say)
        peers.program("taskset", "util-linux", say)
    except peers.Unavailable as reason:
        raise click.ClickException(f"{reason}; the benchmark cannot do without it") from None
    with processes.ended_by_signals():
        found = peers.prepare(servers, say)
        for name, why in found.missing.items():
            say(f"{name} is left out: {why}")
        server_core, load_core = machine.pick_cores()
        plan = measure.Plan(seconds, rounds, server_core, load_core, wrk)
        count = sum(len(measure.able_servers(scenario, servers, found)) for scenario in scenarios)
        minutes, seconds_more = divmod(plan.duration(count), 60)
        say(f"{rounds} × {count} measurements: about {minutes:.0f} min {seconds_more:.0f} s")
        results = {}
        for scenario in scenarios:
            results[scenario.name] = measure.run_scenario(scenario, servers, found, plan, say)
    sections = [(scenario, results[scenario.name]) for scenario in scenarios]
    text = report.document(machine.description(), plan, sections, found.missing, date.today())
    verdicts = targets.judge(results)
    if check:
        text += "\n\n" + report.target_list(verdicts)
    say("")
    click.echo(text)
    if output is not None:
        output.write_text(text + "\n")
    if check and not all(verdict.passed for verdict in verdicts):
        sys.exit(1)


if __name__ == "__main__":
    main(prog_name="python -m bench")
