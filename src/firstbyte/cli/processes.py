"""The options of processes: how many serve, and when they are replaced."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click


@dataclass(frozen=True)
class Processes:
    """What the options say; each field is the option of its name."""

    workers: int = 1
    max_requests: int = 0
    max_rss: int = 0
    control: str | None = None
    reload: bool = False
    reload_dir: tuple[str, ...] = ()
    pid: str | None = None
    user: str | None = None
    group: str | None = None
    umask: str | None = None  # octal digits

    @property
    def are_supervised(self) -> bool:
        """Whether it takes a supervisor; without one, the process that is started serves by itself."""
        return self.workers > 1 or self.max_requests > 0 or self.max_rss > 0 or self.control is not None or self.reload

    @property
    def drops_privileges(self) -> bool:
        """Whether the sockets are opened by one user and served by another."""
        return self.user is not None or self.group is not None

    @property
    def control_path(self) -> Path | None:
        """The path of the control socket, if one is named."""
        return None if self.control is None else Path(self.control)


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


def processors() -> int:
    """The number of processors that this process may run on."""
    if hasattr(os, "process_cpu_count"):  # since Python 3.13
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
