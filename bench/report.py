"""The Markdown: a table for each scenario, with notes on whatever a reader must know to trust it."""

from collections.abc import Mapping, Sequence
from datetime import date

from bench.measure import Plan, Row
from bench.scenarios import Scenario
from bench.targets import US, Verdict

NOISY = 0.05
"""The share of one core that others may take before the report says so."""


def document(
    machine: str, plan: Plan, results: Sequence[tuple[Scenario, Sequence[Row]]], missing: Mapping[str, str], today: date
) -> str:
    """The whole report, less the targets."""
    return "\n\n".join(
        [
            heading(machine, plan, today),
            *(section(scenario, rows) for scenario, rows in results),
            *([left_out(missing)] if missing else []),
        ]
    )


def heading(machine: str, plan: Plan, today: date) -> str:
    rounds = "1 round" if plan.rounds == 1 else f"{plan.rounds} interleaved rounds, medians"
    cores = (
        "each server alone on one core, wrk on another"
        if plan.server_core != plan.load_core
        else "each server and wrk on the SAME core: requests/s and p99 say little"
    )
    return f"""# Benchmark

{today.isoformat()} · {machine}

{rounds[0].upper()}{rounds[1:]}, of {plan.seconds} s after {plan.warm_up} s to warm up; {cores}.

- **CPU µs/req**: user and system time of the server's whole process tree, divided by the requests answered; after it, \
where there were several rounds, the lowest and the highest.
- **× firstbyte**: this server's CPU per request divided by firstbyte's; above 1, firstbyte needs less.
- **p99 ms**: 99 of 100 answers came within this time; wrk's correction for coordinated omission is taken back, since \
it charges a server the more for one slow answer the faster it gives all others.
- **RSS MiB**: resident memory of the process tree after the load; pages that processes share count once for each."""


def section(scenario: Scenario, rows: Sequence[Row]) -> str:
    """One scenario: what it is, the table with the cheapest server first, the notes."""
    load = f"{scenario.connections} connections" + (f", {scenario.idle:,} more idle" if scenario.idle else "")
    measured = sorted((row for row in rows if row.samples), key=lambda row: row.median("cpu_us"))
    parts = [f"## {scenario.name}", f"{scenario.about} {load[0].upper()}{load[1:]}."]
    if measured:
        parts.append(table(measured))
    remarks = notes(rows)
    if remarks:
        parts.append("\n".join(f"- {remark}" for remark in remarks))
    return "\n\n".join(parts)


def table(rows: Sequence[Row]) -> str:
    ours = next((row.median("cpu_us") for row in rows if row.server == US), None)
    cells = [["server", "version", "CPU µs/req", "requests/s", "p99 ms", "RSS MiB", "× firstbyte"]]
    for row in rows:
        name = f"**{row.server}**" if row.server == US else row.server
        cells.append(
            [
                f"{name} ⚠" if row.errors else name,
                row.version,
                cpu_cell(row),
                f"{row.median('per_second'):,.0f}",
                significant(row.median("p99_ms")),
                f"{row.median('rss_mib'):.0f}",
                f"{row.median('cpu_us') / ours:.2f}" if ours else "–",
            ]
        )
    return markdown(cells)


def markdown(cells: Sequence[Sequence[str]], text_columns: int = 2) -> str:
    """A Markdown table, padded so that it can be read as it is; the first columns are text, the others figures."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column < text_columns else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if column < text_columns else f"{'-' * (width - 1)}:" for column, width in enumerate(widths)]
    return "\n".join([line(cells[0]), f"| {' | '.join(rule)} |", *(line(row) for row in cells[1:])])


def cpu_cell(row: Row) -> str:
    text = significant(row.median("cpu_us"))
    if len(row.samples) > 1:
        low, high = row.spread("cpu_us")
        text += f" ({significant(low)}–{significant(high)})"
    return text


def significant(value: float) -> str:
    """Three digits are as many as the measurement carries."""
    for limit, digits in ((10, 2), (100, 1)):
        if value < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def notes(rows: Sequence[Row]) -> list[str]:
    remarks = [
        f"⚠ {row.server}: {row.errors:,} errors (socket errors, timeouts, or status 400 and above) under load; its "
        "figures count for little."
        for row in rows
        if row.errors
    ]
    for row in rows:
        if row.failure:
            first, *words = row.failure.splitlines()
            rounds = f" (after {len(row.samples)} good rounds)" if row.samples else ""
            remarks.append("\n      ".join([f"{row.server} left out{rounds}: {first}", *words]))
    for field in sorted({name for row in rows if row.samples for name in row.omits}):
        names = ", ".join(row.server for row in rows if row.samples and field in row.omits)
        remarks.append(f"{names}: no {field.title()} field in the answers, work that the others do.")
    noisy = [f"{row.server} {row.median('others'):.0%}" for row in rows if row.samples and row.median("others") > NOISY]
    if noisy:
        remarks.append(f"Noise: other processes took part of the two cores, in shares of one: {', '.join(noisy)}.")
    return remarks


def left_out(missing: Mapping[str, str]) -> str:
    lines = [f"- {name}: {reason}" for name, reason in missing.items()]
    return "\n\n".join(["## Left out", "\n".join(lines)])


def target_list(verdicts: Sequence[Verdict]) -> str:
    """The targets with pass or fail, and the ratio that was measured."""
    cells = [["target", "", "measured"]]
    for verdict in verdicts:
        measured = f"{verdict.ratio:.2f}" if verdict.ratio is not None else verdict.reason
        cells.append([str(verdict.target), "pass" if verdict.passed else "FAIL", measured])
    about = "firstbyte's figure divided by the other's, in this run; what was not measured is not met."
    return "\n\n".join(["## Targets", about, markdown(cells, text_columns=2)])
