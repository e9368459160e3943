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
    """firstbyte's `metric`, or that of another server `of` ours, divided by that of `than` is within `bound` of
    `limit`."""

    scenario: str
    metric: str
    than: str | float
    """A server's name, or a figure that holds on any machine."""
    bound: str
    limit: float
    base: str = ""
    """The scenario in which `than` was measured, if it is another one."""
    of: str = US

    def __str__(self) -> str:
        than = self.than if isinstance(self.than, str) else f"{self.than:,.0f}"
        where = f" in {self.base}" if self.base else ""
        which = f" of {self.of}" if self.of != US else ""
        return f"{self.scenario}: {METRICS[self.metric]}{which} {self.bound} {self.limit:.2f} of {than}{where}"


# 64 connections, each answered after 10 ms at the soonest.
IDEAL_SLEEP10 = 64 / 0.010

TARGETS: tuple[Target, ...] = (
    Target("hello", "cpu_us", "nginx", "<=", 1.00),
    Target("hello", "cpu_us", "c-epoll", "<=", 1.25),
    Target("hello", "cpu_us", "granian-rsgi", "<=", 0.40),
    Target("hello", "cpu_us", "uvicorn", "<=", 0.33),
    Target("json", "cpu_us", "falcon-bjoern", "<=", 0.60),
    Target("pipeline16", "cpu_us", "c-epoll", "<=", 1.50),
    Target("crowd", "cpu_us", US, "<=", 1.15, base="hello"),
    Target("routes10k", "cpu_us", US, "<=", 1.15, base="route"),
    Target("sleep10", "per_second", IDEAL_SLEEP10, ">=", 0.80),
    Target("sleep10", "cpu_us", "granian-wsgi", "<", 1.00),
    Target("async", "cpu_us", "uvicorn", "<=", 0.50),
    Target("async", "cpu_us", "granian-asgi", "<=", 0.50),
    Target("await10", "cpu_us", "uvicorn", "<=", 0.70),
    Target("await10", "cpu_us", "granian-asgi", "<=", 0.70),
    Target("mixed", "cpu_us", "gunicorn-gthread", "<=", 0.12),
    Target("mixed", "p99_ms", "granian-wsgi", "<=", 1.00),
    Target("hello", "cpu_us", "bjoern", "<=", 1.00, of="firstbyte-wsgi"),
    Target("hello", "cpu_us", "gunicorn-gthread", "<=", 0.10, of="firstbyte-wsgi"),
    Target("flask", "cpu_us", "flask-gunicorn", "<=", 0.35, of="flask-firstbyte"),
    Target("flask", "cpu_us", "flask-granian", "<=", 0.60, of="flask-firstbyte"),
    Target("hello", "cpu_us", "uvicorn", "<=", 0.65, of="firstbyte-asgi"),
    Target("hello", "cpu_us", "granian-asgi", "<=", 0.65, of="firstbyte-asgi"),
    Target("fastapi", "cpu_us", "fastapi-uvicorn", "<=", 0.85, of="fastapi-firstbyte"),
    Target("frameworks", "cpu_us", "fastapi", "<=", 0.12),
    Target("frameworks", "cpu_us", "starlette", "<=", 0.40),
    Target("post1k", "cpu_us", "fastapi", "<=", 0.15),
    Target("stack", "cpu_us", "fastapi-stack", "<=", 0.25),
    Target("stack", "cpu_us", "fastapi-stack-plain", "<=", 0.25),
    *(
        Target(f"static{kind}", "cpu_us", peer, "<=", limit, of="firstbyte-files")
        for kind in ("4k", "64k", "10m", "304")
        for peer, limit in (("nginx-files", 1.20), ("http.server", 0.15))
    ),
    Target("proxy", "cpu_us", "nginx-proxy", "<=", 2.00, of="firstbyte-proxy"),
    Target("proxy", "cpu_us", "aiohttp-proxy", "<=", 0.30, of="firstbyte-proxy"),
    Target("proxy", "cpu_us", "httpx-proxy", "<=", 0.30, of="firstbyte-proxy"),
    *(
        Target(scenario, "per_second", peer, ">=", 1.00, of="firstbyte-wsgi")
        for scenario in ("upload1m", "file10m")
        for peer in ("bjoern", "granian-wsgi", "gunicorn-gthread", "waitress")
    ),
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
    return [verdict(target, results) for target in targets if target.scenario in results]


def verdict(target: Target, results: Mapping[str, Sequence[Row]]) -> Verdict:
    figures = []
    for name, scenario in ((target.of, target.scenario), (target.than, target.base or target.scenario)):
        if isinstance(name, float):
            figures.append(name)
            continue
        row = next((row for row in results.get(scenario, ()) if row.server == name), None)
        if row is None or not row.samples:
            return Verdict(target, None, f"{name} was not measured")
        if name == target.of and row.errors:
            return Verdict(target, None, f"{name} had {row.errors} errors")
        figures.append(row.median(target.metric))
    ours, theirs = figures
    return Verdict(target, ours / theirs if theirs else float("inf"))
