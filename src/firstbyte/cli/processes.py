"""The options of processes: how many serve, and when they are replaced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Processes(NamedTuple):
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


def processors() -> int:
    """The number of processors that this process may run on."""
    if hasattr(os, "process_cpu_count"):  # since Python 3.13
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
