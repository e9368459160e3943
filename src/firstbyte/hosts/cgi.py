"""CGI: programs that answer requests, each run anew (RFC 3875)."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, TypeAlias
from urllib.parse import unquote_to_bytes

from firstbyte._lazy import lazy_logger
from firstbyte.errors import ConfigurationError, HTTPError, ResponseError
from firstbyte.hosts.environ import Environs
from firstbyte.hosts.script import Script
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.headers import Headers
from firstbyte.http.hosts import parse_host
from firstbyte.http.request import Request
from firstbyte.http.response import Response

HasLeft: TypeAlias = Callable[[], bool]

logger = lazy_logger("firstbyte.cgi")

TIMEOUT = 60.0  # seconds; Apache's Timeout
PROCESSES = 16  # at once
_HEAD = 32 * 1024  # bytes of a script's head at most
_FIELDS = 100
_REDIRECTS = 10  # that are followed from script to script
_LEFT = 499  # what the log says of a client that did not wait; nginx's number

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: .*)?")
_STATUS = re.compile(r"([2-5][0-9]{2})(?: .*)?")
# Of the connection to the client, which is not the script's.
_HOP_BY_HOP = ("connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade")
# The client's password is not for every script (RFC 3875 section 4.1.18), and a field Proxy would be the variable that
# HTTP libraries take for the proxy of their own requests.
_WITHHELD = ("HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION", "HTTP_PROXY")


class CGI:
    """Runs the programs below `folder` as a `Handler`: `app.mount("/cgi-bin", CGI("cgi-bin"))`.

    A program gets no variables but those of CGI, PATH and `environment`. It is ended after `timeout` seconds, or when
    its client leaves. No more than `processes` run at once; as many requests wait for one to end as `queue` says (four
    times that unless it is given), for `timeout` at most, others get a 503. A body is complete before its program runs,
    and may have `max_body` bytes (None: the server's limit). `documents` is the folder that PATH_TRANSLATED leads to;
    without it there is no such variable. Raises ConfigurationError if there is no such folder, ValueError for a number
    that lets nothing run.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        timeout: float = TIMEOUT,
        processes: int = PROCESSES,
        queue: int | None = None,
        max_body: int | None = None,
        environment: Mapping[str, str] | None = None,
        documents: str | Path | None = None,
    ) -> None:
        self.folder = Path(folder).resolve()
        if not self.folder.is_dir():
            raise ConfigurationError(f"there is no folder {folder} of programs to run")
        if processes < 1 or timeout <= 0:
            raise ValueError(f"{processes} processes for {timeout} s each would let no program run")
        self._timeout = timeout
        self.gate = Gate(processes, 4 * processes if queue is None else queue)
        self._environment = {"PATH": os.environ.get("PATH", os.defpath), **(environment or {})}
        self._documents = None if documents is None else os.fsencode(Path(documents).resolve())
        self._environs = Environs({"SERVER_SOFTWARE": "firstbyte", "GATEWAY_INTERFACE": "CGI/1.1"})
        self._endpoint = Endpoint(self.answer, name=f"programs of {folder}", max_body=max_body, sends=True)
        self._refusal = Endpoint(self._refuse, name=f"no program of {folder}", streams_body=True)

    def resolve(self, request: Request) -> Endpoint:
        """See `Handler.resolve`."""
        try:
            self.find(request.raw_path)
        except HTTPError:
            return self._refusal
        return self._endpoint

    def find(self, raw_path: str) -> tuple[Path, str, str]:
        """The program that a raw path names, the part of the path that does, and the rest (PATH_INFO), both raw.

        Raises HTTPError: 404 where there is none, 403 for what cannot be run.
        """
        path = self.folder
        taken = ""
        for segment in raw_path.removeprefix("/").split("/"):
            name = os.fsdecode(unquote_to_bytes(segment))
            if not name or name.startswith(".") or "/" in name or "\0" in name:
                break
            path = path / name
            taken += f"/{segment}"
            try:
                if not path.resolve(strict=True).is_relative_to(self.folder):
                    break
            except (OSError, RuntimeError):  # missing, a name too long, a loop of links
                break
            if path.is_file():
                if not os.access(path, os.X_OK):
                    raise HTTPError(403, "the server may not run this")
                return path, taken, raw_path[len(taken) :]
        raise HTTPError(404, f"no program is at {raw_path}")

    def answer(self, request: Request) -> Response:
        """What the program answers. Raises HTTPError: 502 for nonsense, 504 for nothing in time, 503 for too many."""
        for _ in range(_REDIRECTS):
            response, target = self._run(request)
            # A local redirect (RFC 3875 section 6.2.2): followed here among the programs, by the client elsewhere.
            if not target or not target.startswith(f"{request.root_path}/"):
                return response
            response.close()
            request = self._redirected(request, target)
        raise HTTPError(502, "the program redirects without end")

    def _run(self, request: Request) -> tuple[Response, str]:
        """The answer of the program that a request names, and where it redirects to, if it says nothing else."""
        path, script_name, path_info = self.find(request.raw_path)
        environment = self._environment_of(request, path, script_name, path_info)
        has_left = bool if request.sender is None else request.sender.has_left
        if not self.gate.enter(self._timeout):
            raise HTTPError(503, "too many programs run already", {"Retry-After": "5"})
        try:
            if has_left():  # it has not waited
                self.gate.leave()
                return Response(b"", _LEFT), ""
            script = self._start(path, environment, request, has_left)
        except BaseException:
            self.gate.leave()
            raise
        output = _Output(script, self.gate, path)
        try:
            return output.response(nph=path.name.startswith("nph-")), output.redirect
        except BaseException as error:
            output.close()
            if script.over:
                raise HTTPError(504, "the program did not answer in time") from None
            if has_left():
                return Response(b"", _LEFT), ""
            if isinstance(error, _Nonsense):
                logger.error("%s answered what is no answer: %s", path, error)
                raise HTTPError(502, "the program did not answer as programs must") from None
            raise

    def _start(self, path: Path, environment: dict[bytes, bytes], request: Request, has_left: HasLeft) -> Script:
        body = _file_of(request)
        try:
            return Script(path, environment, body, self._timeout, has_left)
        except OSError as error:
            logger.error("%s cannot be run: %s; does it begin with #! and a program's path?", path, error.strerror)
            raise HTTPError(500, "the program cannot be run") from None
        finally:
            if body is not None:
                body.close()

    def _environment_of(self, request: Request, path: Path, script_name: str, path_info: str) -> dict[bytes, bytes]:
        """The variables of RFC 3875 section 4.1."""
        if "%00" in path_info:
            raise HTTPError(404, "no path has a NUL")
        told = self._environs.of(request)
        variables = {name: told[name] for name in told if not name.startswith("wsgi.") and name not in _WITHHELD}
        if request.host:
            with contextlib.suppress(ValueError):  # a host that is none: then it stays the address of the server
                variables["SERVER_NAME"] = parse_host(request.host)
        variables["SCRIPT_FILENAME"] = os.fsencode(path)
        variables["SCRIPT_NAME"] = unquote_to_bytes(request.root_path + script_name)
        variables["PATH_INFO"] = further = unquote_to_bytes(path_info)
        if further and self._documents is not None:  # without "..", which would lead out of the folder
            variables["PATH_TRANSLATED"] = self._documents + os.path.normpath(b"/" + further.lstrip(b"/"))
        variables["REMOTE_HOST"] = variables.setdefault("REMOTE_ADDR", "")
        variables["REQUEST_SCHEME"] = request.scheme
        user = getattr(request.state, "remote_user", None)
        if user is not None:  # of the middleware basic_auth
            variables["AUTH_TYPE"] = "Basic"
            variables["REMOTE_USER"] = user.encode()
        environment = {os.fsencode(name): os.fsencode(value) for name, value in self._environment.items()}
        for name, value in variables.items():
            environment[name.encode()] = value if isinstance(value, bytes) else value.encode("latin-1")
        return environment

    def _redirected(self, request: Request, target: str) -> Request:
        headers = Headers(request.headers)
        for name in ("Content-Length", "Content-Type", "Transfer-Encoding"):
            del headers[name]
        new = Request.build(
            "HEAD" if request.method == "HEAD" else "GET", target, headers, client=request.client,
            server=request.server, scheme=request.scheme, minor=request.minor,
        )  # fmt: skip
        new.move_to_mount(request.root_path)
        new.sender = request.sender
        vars(new.state).update(vars(request.state))
        return new

    def _refuse(self, request: Request) -> Response:
        self.find(request.raw_path)
        raise HTTPError(404, "it has come too late")  # made since the request was resolved


class Gate:
    """Lets `places` in at once, and `queue` wait for a place, in their order. `running` is how many are in."""

    def __init__(self, places: int, queue: int) -> None:
        self.running = 0
        self._places = places
        self._queue = queue
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def enter(self, timeout: float) -> bool:
        """Takes a place, waiting for one up to `timeout` seconds; False if there is none, or no room to wait."""
        with self._lock:
            if self.running < self._places:
                self.running += 1
                return True
            if len(self._waiting) >= self._queue:
                return False
            turn = threading.Event()
            self._waiting.append(turn)
        if turn.wait(timeout):
            return True
        with self._lock:
            if turn.is_set():
                return True
            self._waiting.remove(turn)
            return False

    def leave(self) -> None:
        """Gives the place to whoever waits first."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self.running -= 1


class _Nonsense(Exception):
    """A program's output that is no answer."""


class _Output:
    """What a program writes: a head, then the pieces of a body. `close` ends the program."""

    def __init__(self, script: Script, gate: Gate, path: Path) -> None:
        self._script = script
        self._gate = gate
        self._path = path
        self._rest = b""  # of the body, that came with the head
        self._closed = False
        self.redirect = ""  # a Location that came with nothing else

    def response(self, nph: bool) -> Response:
        """The answer, when its head is here. Raises _Nonsense."""
        lines = self._head()
        status = None
        if nph:
            match = _STATUS_LINE.fullmatch(lines.pop(0))
            if match is None:
                raise _Nonsense("a program whose name begins with nph- must begin with a status line")
            status = match[1].decode()
        fields = []
        for line in lines:
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon:
                raise _Nonsense(f"{line[:80]!r} is no header field")
            if name.lower() == "status" and not nph:
                status = value.strip()
            elif name.lower() not in _HOP_BY_HOP:
                fields.append((name, value.strip()))
        try:
            headers = Headers(fields)
        except ValueError as error:
            raise _Nonsense(str(error)) from None
        if "transfer-encoding" in headers:
            raise _Nonsense("the framing of the body is the server's to write, but it gives Transfer-Encoding")
        if status is None:
            if "location" not in headers and "content-type" not in headers:
                raise _Nonsense("none of Content-Type, Location and Status is among its fields")
            status = "302" if "location" in headers else "200"
            if len(headers) == 1:
                self.redirect = headers.get("location") or ""
        match_status = _STATUS.fullmatch(status)
        if match_status is None:
            raise _Nonsense(f"{status[:80]!r} is no status of an answer")
        return self._made(int(match_status[1]), headers)

    def _made(self, status: int, headers: Headers) -> Response:
        if len(headers) == 1 and "location" in headers and not self._rest:  # a redirect, with no document
            return Response(b"", status, headers) if self._ends() else self._streamed(status, headers)
        if status in (204, 205, 304):
            self.close()
            return Response(b"", status, headers)
        return self._streamed(status, headers)

    def _streamed(self, status: int, headers: Headers) -> Response:
        response = Response(b"", status, headers)
        response.body = self
        return response

    def _ends(self) -> bool:
        self._rest = self._script.read()
        if not self._rest:
            self.close()
        return not self._rest

    def _head(self) -> list[bytes]:
        """The lines before the empty one, at least one."""
        data = b""
        while True:
            match = _END_OF_HEAD.search(data)
            if match is not None and match.start() <= _HEAD:
                lines = [line.removesuffix(b"\r") for line in data[: match.start()].split(b"\n")]
                self._rest = data[match.end() :]
                if len(lines) > _FIELDS or not lines[0]:
                    raise _Nonsense(f"its head has {len(lines)} lines" if lines[0] else "it begins with an empty line")
                return lines
            if len(data) > _HEAD:
                raise _Nonsense(f"its head is longer than {_HEAD} bytes")
            piece = self._script.read()
            if not piece:
                raise _Nonsense(f"it ends within its head, after {len(data)} bytes")
            data += piece

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece, self._rest = self._rest, b""
        piece = piece or (b"" if self._closed else self._script.read())
        if piece:
            return piece
        self.close()
        if self._script.over:
            raise ResponseError(f"{self._path} was ended within its answer: its time was over")
        raise StopIteration

    def close(self) -> None:
        """Ends the program, and lets the next one run."""
        if not self._closed:
            self._closed = True
            self._script.close()
            self._gate.leave()


def _file_of(request: Request) -> BinaryIO | None:
    """The body as a file with a descriptor, at its start; None for an empty one."""
    body = request._body
    if not isinstance(body, bytes):
        descriptor = os.dup(request.body_file.fileno())
        os.lseek(descriptor, 0, os.SEEK_SET)
        return os.fdopen(descriptor, "rb")
    if not body:
        return None
    file = tempfile.TemporaryFile(prefix="firstbyte-")  # noqa: SIM115 - the caller closes it
    file.write(body)
    file.seek(0)
    return file


_END_OF_HEAD = re.compile(rb"(?:\A|\r?\n)\r?\n")

_: type[Handler] = CGI
