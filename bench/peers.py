"""Installs what the servers need, all of it under bench/build/, or says why it cannot.

Python peers come from PyPI into an environment of their own, from the ranges in requirements.txt; the C loop from gcc.
Of system packages, root on a Debian gets what is missing by apt; nginx is only unpacked, since installing it would
start one on port 80.
"""

import ast
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench.servers import BUILD, ROOT, Server, Source

ENVIRONMENT = BUILD / "venv"
REQUIREMENTS = Path(__file__).parent / "requirements.txt"
# A user's PATH on Debian has no sbin, where nginx is.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])


class Unavailable(Exception):
    """What was asked for cannot be had on this machine; says why in one line."""


@dataclass
class Peers:
    """What could be prepared: by server name, the `versions` of those that can run and why the others are `missing`."""

    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    programs: dict[str, str] = field(default_factory=dict)


def prepare(servers: Iterable[Server], say: Callable[[str], None]) -> Peers:
    """Install what `servers` need; `say` is told of each longer step before it begins."""
    peers = Peers()
    for server in servers:
        try:
            if server.interface == "proxy" and "epoll_hello" not in peers.programs:
                gcc(server, peers, say)  # what is behind it
            peers.versions[server.name] = PROVIDERS[server.source](server, peers, say)
        except Unavailable as reason:
            peers.missing[server.name] = str(reason)
    return peers


def program(name: str, package: str, say: Callable[[str], None]) -> str:
    """The path of a system program, installed by apt when it is missing and that is possible."""
    if shutil.which(name, path=SEARCH_PATH) is None:
        apt_install(package, say)
    found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        raise Unavailable(f"there is no {name} on the PATH")
    return found


# --- one function for each source: makes the server runnable and returns its version ---------------------------------


def firstbyte(server: Server, peers: Peers, say: Callable[[str], None]) -> str:
    command = Path(sys.executable).parent / "firstbyte"
    if not command.exists():
        raise Unavailable("firstbyte is not installed beside this Python: pip install -e .")
    try:
        text = output([str(command), "--version"])
    except Unavailable:
        # A command that cannot even say its version will be reported, with its words, when it is started.
        return importlib.metadata.version("firstbyte")
    return text.removeprefix("firstbyte").removeprefix(",").strip().removeprefix("version").strip()


def gcc(server: Server, peers: Peers, say: Callable[[str], None]) -> str:
    source, binary = Path(__file__).parent / "epoll_hello.c", BUILD / "epoll_hello"
    compiler = program("gcc", "gcc", say)
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(exist_ok=True)
        output([compiler, "-O2", "-o", str(binary), str(source)])
    peers.programs["epoll_hello"] = str(binary)
    return f"gcc {output([compiler, '-dumpfullversion'])} -O2"


def nginx(server: Server, peers: Peers, say: Callable[[str], None]) -> str:
    binary = shutil.which("nginx", path=SEARCH_PATH) or unpack("nginx", "usr/sbin/nginx", say)
    peers.programs["nginx"] = binary
    return output([binary, "-v"]).rpartition("/")[2]


def pip(server: Server, peers: Peers, say: Callable[[str], None]) -> str:
    if "bjoern" in server.packages and not Path("/usr/include/ev.h").exists():
        apt_install("libev-dev", say)
    create_environment(say)
    # msgspec: the applications encode JSON with it.
    failures = install_requirements({*server.packages, "msgspec"}, say)
    if failures:
        raise Unavailable("; ".join(failures))
    for path in (ENVIRONMENT / "bin").iterdir():
        peers.programs[path.name] = str(path)
    script = "import importlib.metadata as m; print([(d.name.lower(), d.version) for d in m.distributions()])"
    versions = dict(ast.literal_eval(output([str(ENVIRONMENT / "bin/python"), "-c", script])))
    first, *others = server.packages
    return ", ".join([versions[first], *(f"{package} {versions[package]}" for package in others)])


def python(server: Server, peers: Peers, say: Callable[[str], None]) -> str:
    return sys.version.partition(" ")[0]


PROVIDERS: dict[Source, Callable[[Server, Peers, Callable[[str], None]], str]] = {
    "firstbyte": firstbyte,
    "gcc": gcc,
    "nginx": nginx,
    "pip": pip,
    "python": python,
}

# --- the package managers --------------------------------------------------------------------------------------------


def create_environment(say: Callable[[str], None]) -> None:
    """An environment for the peers with this Python; one left by another Python is made anew."""
    python, made_by = ENVIRONMENT / "bin/python", ENVIRONMENT / "made-by"
    if python.exists() and made_by.exists() and made_by.read_text() == sys.version:
        return
    say("making an environment for the peers")
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    output([sys.executable, "-m", "venv", str(ENVIRONMENT)])
    made_by.write_text(sys.version)


def install_requirements(names: set[str], say: Callable[[str], None]) -> list[str]:
    """Install the requirements of these names that are not installed yet; returns what failed, in words."""
    record = ENVIRONMENT / "installed.json"
    installed: list[str] = json.loads(record.read_text()) if record.exists() else []
    failures = []
    for line in REQUIREMENTS.read_text().splitlines():
        name = line.partition(">")[0]
        if name not in names or line in installed:
            continue
        say(f"installing {line}")
        try:
            options = ["install", "-q", "--disable-pip-version-check", line]
            output([str(ENVIRONMENT / "bin/python"), "-m", "pip", *options])
        except Unavailable as reason:
            failures.append(f"{name} cannot be installed: {reason}")
        else:
            installed.append(line)
            record.write_text(json.dumps(installed, indent=1))
    return failures


def apt_install(package: str, say: Callable[[str], None]) -> None:
    """Install a Debian package, given apt and root; else do nothing, and let what needs it say that it is missing."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return
    say(f"installing the system's package {package}")
    try:
        output(["apt-get", "update", "-qq"])
        output(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package])
    except Unavailable as reason:
        say(f"{package} cannot be installed: {reason}")


def unpack(package: str, member: str, say: Callable[[str], None]) -> str:
    """The path of one file of a Debian package that is fetched and unpacked, not installed."""
    folder = BUILD / "packages" / package
    path = folder / member
    if path.exists():
        return str(path)
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise Unavailable(f"{package} is not installed, and there is no apt to get it with")
    say(f"fetching the system's package {package}")
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        output(["apt-get", "update", "-qq"])
    output(["apt-get", "download", "-qq", package], cwd=folder)
    for archive in folder.glob("*.deb"):
        output(["dpkg", "-x", str(archive), str(folder)])
    if not path.exists():
        raise Unavailable(f"the package {package} has no {member}")
    return str(path)


def output(command: list[str], cwd: Path = ROOT) -> str:
    """What a command prints, both streams. Raises `Unavailable` with its last line when it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Unavailable(str(problem)) from problem
    if done.returncode != 0:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        raise Unavailable(lines[-1] if lines else f"{command[0]} ended with status {done.returncode}")
    return done.stdout.strip()
