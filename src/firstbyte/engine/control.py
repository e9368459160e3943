"""The control socket: how `firstbyte status` and `firstbyte reload` speak to a supervisor of the same user."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import msgspec

from firstbyte.engine.channel import Channel
from firstbyte.engine.listener import listen_unix
from firstbyte.errors import ConfigurationError
from firstbyte.http.request import Address

BACKLOG = 16


class GetStatus(msgspec.Struct, tag=True):
    """Wants a Status."""


class Reload(msgspec.Struct, tag=True):
    """Wants new workers, and a Reloaded when they serve, or when it is clear that they will not."""


class WorkerStatus(msgspec.Struct):
    """One worker. Seconds, bytes; what is None is not known, since the worker did not answer or the system tells not."""

    slot: int
    pid: int
    generation: int
    state: str  # "starting", "ready", "draining"
    uptime: float
    requests: int | None = None
    connections: int | None = None
    busy: int | None = None  # threads that are in handlers
    waiting: int | None = None  # requests that wait for a thread
    rss: int | None = None
    cpu: float | None = None
    details: msgspec.Raw = msgspec.Raw(b"null")  # what `Plan.figures` of the worker gave


class Status(msgspec.Struct, tag=True):
    """All workers of one supervisor. `problem` is why a worker that should be there is not, or empty."""

    pid: int
    generation: int
    addresses: list[str]
    uptime: float
    restarts: int  # of workers that ended unasked
    problem: str
    workers: list[WorkerStatus]


class Reloaded(msgspec.Struct, tag=True):
    """How a reload went: no `reason`, or why the old workers go on."""

    generation: int
    seconds: float
    reason: str = ""
    traceback: str = ""


Request = GetStatus | Reload
Reply = Status | Reloaded


def control_folder() -> Path:
    """Where the control sockets of this user are by default."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime, "firstbyte")
    return Path(f"/tmp/firstbyte-{os.geteuid()}")  # noqa: S108  # made and checked by `_own_folder`


def listen_control(path: Path | None, address: Address) -> tuple[socket.socket, Path]:
    """Listens for the owner of this process alone: at `path`, or at one named by the address it serves.

    Raises ConfigurationError where another user could be listening in, and ListenError.
    """
    if path is None:
        folder = _own_folder(control_folder())
        name = str(address.port) if address.port else Path(address.host).name or "socket"
        path = folder / f"{name}.sock"
        if _is_alive(path):
            path = folder / f"{name}-{os.getpid()}.sock"  # the same port on another address
    mask = os.umask(0o177)
    try:
        return listen_unix(str(path), BACKLOG), path
    finally:
        os.umask(mask)


def running() -> list[Path]:
    """The control sockets of this user's supervisors that are at their default places."""
    return sorted(path for path in _sockets(control_folder()) if _is_alive(path))


def ask(path: Path, request: Request, timeout: float) -> Reply:
    """Asks the supervisor at a control socket. Raises ConfigurationError if it gives no answer in `timeout` seconds."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            raise ConfigurationError(f"no server is at {path}") from None
        except OSError as error:
            raise ConfigurationError(f"the server at {path} cannot be asked: {error.strerror or error}") from None
        channel = Channel(sock, Reply)
        channel.send(request)
        until = monotonic() + timeout
        while not channel.closed:
            if not channel.wait(until - monotonic()):
                raise ConfigurationError(f"the server at {path} did not answer within {timeout:g} s")
            for message in channel.receive():
                reply: Reply = message
                return reply
        raise ConfigurationError(f"the server at {path} ended without an answer")


def _own_folder(path: Path) -> Path:
    """The folder, made if it is not there. Raises ConfigurationError if others have a way into it."""
    path.mkdir(mode=0o700, parents=False, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise ConfigurationError(
            f"{path} is not a folder of this user alone: remove it, or name a place with --control"
        )
    return path


def _sockets(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from folder.glob("*.sock")


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0
