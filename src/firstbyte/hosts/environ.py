"""The environ of a WSGI application (PEP 3333, "environ Variables"), from a request.

Most of it follows from the bytes of the head alone. Clients send the same heads again and again, so what a short one
became is remembered and copied; what is remembered is bounded.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable
from io import BytesIO
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

from firstbyte._lazy import lazy_logger
from firstbyte.http.request import Address, Request

Environ: TypeAlias = dict[str, Any]

logger = lazy_logger("firstbyte.wsgi")

_KNOWN = 256  # heads that are remembered
_KNOWN_SIZE = 1024  # bytes of the longest one
_NAMES = 1024  # header names whose variable is remembered
_PORTS = 4096  # ports whose text is
_LINE = 64 * 1024  # characters after which an unfinished line of wsgi.errors is logged all the same


class Environs:
    """Makes environs; `constants` are the variables that are the same in all of them."""

    def __init__(self, constants: Environ) -> None:
        self.constants = constants
        # With the server and scheme they are for. Those of clients without an address are not remembered.
        self._known: dict[bytes, tuple[Environ, Address | None, str]] = {}

    def of(self, request: Request) -> Environ:
        """The environ of a request whose body is complete: a dict of its own, for the application to change.

        Fields with an underscore in their name are left out, since X_User and X-User would be the same variable.
        Transfer-Encoding is left out too and CONTENT_LENGTH is the body's, which has been decoded by now.
        """
        client = request.client
        if request._headers is None and not request.root_path and client is not None:  # nobody has changed a field
            head = request.head
            known = self._known.get(head)
            if known is not None and known[1] == request.server and known[2] == request.scheme:
                base = known[0]
                environ = base.copy()
            else:
                environ = self._of_head(request)
                # Their places, so that the copies need not grow for them.
                environ["REMOTE_ADDR"] = environ["REMOTE_PORT"] = environ["wsgi.input"] = ""
                if len(head) <= _KNOWN_SIZE:
                    if len(self._known) >= _KNOWN:
                        self._known.clear()
                    self._known[head] = (environ.copy(), request.server, request.scheme)
        else:
            environ = self._of_head(request)
            if request.forwarded_host is not None:
                environ["HTTP_HOST"] = request.forwarded_host
        if client is not None:
            environ["REMOTE_ADDR"] = client.host  # not `client[0]`: of a tuple's subclass, an item takes long to get
            port = client.port
            environ["REMOTE_PORT"] = _ports.get(port) or _port(port)
        body = request._body
        if type(body) is bytes:
            environ["wsgi.input"] = BytesIO(body)
            if body:
                environ["CONTENT_LENGTH"] = str(len(body))
        else:
            file = environ["wsgi.input"] = request.body_file
            environ["CONTENT_LENGTH"] = str(file.seek(0, io.SEEK_END))
            file.seek(0)
        return environ

    def _of_head(self, request: Request) -> Environ:
        """What is told by the head, the server's end, and where it is mounted."""
        raw_path = request.raw_path
        scheme = request.scheme
        name, port = request.server or ("", 0)
        if not port:  # a Unix socket has neither, but both must be there and not be empty
            name, port = "localhost", 443 if scheme == "https" else 80
        environ = {
            **self.constants,
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": _decoded(request.root_path),
            "PATH_INFO": "/" if raw_path == "*" else _decoded(raw_path),
            "QUERY_STRING": request.raw_query,
            "REQUEST_URI": request.target,
            "RAW_URI": request.target,
            "SERVER_PROTOCOL": f"HTTP/1.{request.minor}",
            "SERVER_NAME": name,
            "SERVER_PORT": str(port),
            "wsgi.url_scheme": scheme,
        }
        if scheme == "https":
            environ["HTTPS"] = "on"
        for lowered, _, value in request.headers.fields() if request._headers is not None else _fields(request):
            variable = _variables.get(lowered)
            if variable is None:
                variable = _variable(lowered)
            if not variable:
                continue
            present = environ.get(variable)
            if present is None:
                environ[variable] = value
            else:  # RFC 9110 section 5.3; Cookie has a separator of its own, RFC 9113 section 8.2.3
                environ[variable] = f"{present}{'; ' if lowered == 'cookie' else ','}{value}"
        return environ


class ErrorLog(io.TextIOBase):
    """`wsgi.errors`: each line that is written, or each flush, is an error in the log "firstbyte.wsgi"."""

    def __init__(self) -> None:
        self._lines = _Lines()

    def write(self, text: str) -> int:
        """Takes text; raises TypeError for anything else."""
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        lines = self._lines
        lines.unfinished += text
        if "\n" in text or len(lines.unfinished) > _LINE:
            done, _, lines.unfinished = lines.unfinished.rpartition("\n")
            self._log(done or lines.take())
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]  # text alone
        """Takes each of them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Logs a line that has no end yet."""
        self._log(self._lines.take())

    def writable(self) -> bool:
        """It is."""
        return True

    def _log(self, text: str) -> None:
        if text.strip():
            logger.error("%s", text)


class _Lines(threading.local):
    """The unfinished line of each thread, so that those of two requests do not mix."""

    unfinished = ""

    def take(self) -> str:
        text, self.unfinished = self.unfinished, ""
        return text


def _fields(request: Request) -> Any:
    """The fields of a head that is left as it came, for whoever wants to know whether anybody has looked at it."""
    fields = request.headers.fields()
    request._headers = None
    return fields


def _decoded(raw: str) -> str:
    """A percent-encoded path as WSGI has it: the bytes, each as the character of the same number."""
    return unquote_to_bytes(raw).decode("latin-1") if "%" in raw else raw


def _variable(lowered: str) -> str:
    """The variable of a header field; empty for one that has none."""
    variable = "" if "_" in lowered else f"HTTP_{lowered.upper().replace('-', '_')}"
    if len(_variables) < _NAMES and len(lowered) < 64:
        _variables[lowered] = variable
    return variable


def _port(number: int) -> str:
    """A port as text. A connection has its own, and many requests."""
    text = str(number)
    if len(_ports) >= _PORTS:
        _ports.clear()
    _ports[number] = text
    return text


_ports: dict[int, str] = {}
_variables = {
    "content-type": "CONTENT_TYPE",
    "content-length": "CONTENT_LENGTH",
    "transfer-encoding": "",
}
