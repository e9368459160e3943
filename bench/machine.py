"""The machine: in general terms for the report, its cores, and what others take of them meanwhile."""

import os
import platform
import resource
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")


def description() -> str:
    """CPU model, cores, memory, kernel and Python, in one line; nothing that names this one machine."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    kernel = ".".join(platform.release().split(".")[:2])
    python = f"{platform.python_implementation()} {platform.python_version()}"
    cores = os.cpu_count() or 1
    return f"{cpu_model()}, {cores} {'core' if cores == 1 else 'cores'}, {memory:.0f} GiB, Linux {kernel}, {python}"


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def pick_cores() -> tuple[int, int]:
    """The server's core and wrk's: the last and the first we may use, since interrupts go to the first by default."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[-1], allowed[0]


def busy_seconds(cores: set[int]) -> float:
    """Time that these cores have spent on anything but idling since boot, what the hypervisor took (steal) included."""
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name[3:].isdecimal() and int(name[3:]) in cores:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, ticks[:8])
            total += user + nice + system + irq + softirq + steal
    return total * TICK


def children_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    usage = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in usage)


def allow_open_files() -> None:
    """Raise the limit of open files to the most we may: for us, and for the servers that inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
