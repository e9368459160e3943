"""What options take that click has no type for."""

from __future__ import annotations

import re
from typing import Any

import click

from firstbyte.cli.processes import processors


class Size(click.ParamType[int]):
    """A number of bytes or things, with k, M or G for powers of 1024."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises the usage error of click for what is no size."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,15})([kmg]?)(i?b)?", value.strip(), re.IGNORECASE)
        if match is None:
            self.fail(f"{value!r} is no size: write a number, with k, M or G if you like", param, ctx)
        return int(match[1]) * {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[match[2].lower()]


class Seconds(click.ParamType[float]):
    """A time above zero; "inf" waits for ever."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Raises the usage error of click for what is no such time."""
        try:
            seconds = float(value)
        except ValueError:
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        if not seconds > 0:
            self.fail(f"{value} s: it must be above zero", param, ctx)
        return seconds


class WorkerCount(click.ParamType[int]):
    """A number of processes; "auto" for one on each processor that this process may run on."""

    name = "workers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises the usage error of click for what is no such number."""
        if value == "auto":
            return processors()
        try:
            count = int(value)
        except ValueError:
            self.fail(f"{value!r} is no number of workers: write a number, or auto", param, ctx)
        if count < 1:
            self.fail(f"{count} workers: there must be at least one", param, ctx)
        return count


class Mask(click.ParamType[str]):
    """A file mode mask, in octal digits as the shell's umask takes it."""

    name = "mask"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Raises the usage error of click for what is no such mask."""
        if not re.fullmatch("[0-7]{1,4}", str(value)) or int(str(value), 8) > 0o777:
            self.fail(f"{value!r} is no mask: write up to three octal digits, such as 027", param, ctx)
        return str(value)
