"""What firstbyte must reach: one `Target` each, a bound on the ratio of its figure to a peer's in the same run."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.measure import Row

US = "firstbyte"
BOUNDS: Mapping[str, Callable[[float, float], bool]] = {"<=": operator.le, "<": operator.lt, ">=": operator.ge}
METRICS = {"cpu_us": "CPU µs/req", "per_second": "requests/s", "p99_ms": "p99 ms"}


@dataclass(frozen=True)
class Target:
    """firstbyte's `metric` divided by that of `than` must be within `bound` of `limit`."""

    scenario: str
    metric: str
    than: str | float
    """A server's name, or a figure that holds on any machine."""
    bound: str
    limit: float

    def __str__(self) -> str:
        than = self.than if isinstance(self.than, str) else f"{self.than:,.0f}"
        return f"{self.scenario}: {METRICS[self.metric]} {self.bound} {self.limit:.2f} of {than}"


# 64 connections, each answered after 10 ms at the soonest.
IDEAL_SLEEP10 = 64 / 0.010

TARGETS: tuple[Target, ...] = (
    Target("hello", "cpu_us", "granian-rsgi", "<=", 0.70),
    Target("hello", "cpu_us", "uvicorn", "<=", 0.55),
    Target("sleep10", "per_second", IDEAL_SLEEP10, ">=", 0.80),
    Target("sleep10", "cpu_us", "granian-wsgi", "<", 1.00),
    Target("async", "cpu_us", "uvicorn", "<=", 0.50),
    Target("async", "cpu_us", "granian-asgi", "<=", 0.50),
    Target("await10", "cpu_us", "uvicorn", "<=", 0.70),
    Target("await10", "cpu_us", "granian-asgi", "<=", 0.70),
    Target("mixed", "cpu_us", "gunicorn-gthread", "<=", 0.12),
    Target("mixed", "p99_ms", "granian-wsgi", "<=", 1.00),
)


@dataclass(frozen=True)
class Verdict:
    """A target and what came of it: the ratio that was measured, or why there is none (which is not a pass)."""

    target: Target
    ratio: float | None
    reason: str = ""

    @property
    def passed(self) -> bool:
        return self.ratio is not None and BOUNDS[self.target.bound](self.ratio, self.target.limit)


def judge(results: Mapping[str, Sequence[Row]], targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """A verdict on each target of the scenarios that were run; `results` has the rows of each by its name."""
    return [verdict(target, results[target.scenario]) for target in targets if target.scenario in results]


def verdict(target: Target, rows: Sequence[Row]) -> Verdict:
    by_name = {row.server: row for row in rows}
    figures = []
    for name in (US, target.than):
        if isinstance(name, float):
            figures.append(name)
            continue
        row = by_name.get(name)
        if row is None or not row.samples:
            return Verdict(target, None, f"{name} was not measured")
        if name == US and row.errors:
            return Verdict(target, None, f"{name} had {row.errors} errors")
        figures.append(row.median(target.metric))
    ours, theirs = figures
    return Verdict(target, ours / theirs if theirs else float("inf"))
