"""The control socket: how `firstbyte status` and `firstbyte reload` speak to a supervisor of the same user."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import msgspec

from firstbyte.engine.channel import Channel, Sources
from firstbyte.engine.listener import listen_unix
from firstbyte.errors import ConfigurationError
from firstbyte.http.request import Address

BACKLOG = 16
CLIENTS = 16  # at once


class GetStatus(msgspec.Struct, tag=True):
    """Wants a Status."""


class Reload(msgspec.Struct, tag=True):
    """Wants new workers, and a Reloaded when they serve, or when it is clear that they will not."""


class WorkerStatus(msgspec.Struct):
    """One worker. Seconds, bytes; None is what the worker did not answer, or the system does not tell."""

    slot: str  # a number, or the name of a companion
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
    ended_requests: int  # that workers have had which have ended
    problem: str
    stopping: bool
    past: msgspec.Raw  # the details of workers that have ended, added up by `Plan.add_ended`
    workers: list[WorkerStatus]


class Reloaded(msgspec.Struct, tag=True):
    """How a reload went: no `reason`, or why the old workers go on."""

    generation: int
    seconds: float
    reason: str = ""
    traceback: str = ""


Request = GetStatus | Reload
Reply = Status | Reloaded


class ControlServer:
    """The supervisor's end: takes requests, and gives each to `on_request` with the client to whom to `reply`."""

    def __init__(
        self, path: Path | None, address: Address, sources: Sources, on_request: Callable[[Channel, Request], None]
    ) -> None:
        self._sock, self.path = listen_control(path, address)
        self._sources = sources
        self._on_request = on_request
        self._clients: dict[int, Channel] = {}  # by descriptor
        sources.watch(self._sock.fileno(), self._on_client)

    def reply(self, client: Channel, message: Reply) -> None:
        """Answers a client that still waits; what it does not take at once, when it does."""
        if self._clients.get(client.fileno) is not client:
            return
        client.send(message)
        if client.closed:
            self._drop(client)
        elif client.unsent:
            self._sources.want_write(client.fileno, True)

    def close(self) -> None:
        """Closes everything, when the last answers are out, and removes the socket's path."""
        for client in list(self._clients.values()):
            client.flush_patiently()
            self._drop(client)
        self._sources.ignore(self._sock.fileno())
        self._sock.close()
        self.path.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Closes what a child has inherited; it stays the parent's."""
        for client in self._clients.values():
            client.close()
        self._sock.close()

    def _on_client(self, events: int) -> None:
        try:
            sock, _ = self._sock.accept()
        except OSError:
            return  # it left, or the system has no descriptor for it
        if len(self._clients) >= CLIENTS:
            sock.close()
            return
        client = Channel(sock, Request)
        self._clients[client.fileno] = client
        self._sources.watch(client.fileno, lambda events: self._hear(client))

    def _hear(self, client: Channel) -> None:
        if client.unsent:
            client.flush()
            self._sources.want_write(client.fileno, bool(client.unsent))
        for message in client.receive():
            self._on_request(client, message)
        if client.closed and self._clients.get(client.fileno) is client:
            self._drop(client)

    def _drop(self, client: Channel) -> None:
        self._sources.ignore(client.fileno)
        del self._clients[client.fileno]
        client.close()


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
