"""The log: one line for each response, one for each request that was refused, and what the program says of itself."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, TextIO

import click
import msgspec

from firstbyte.engine.connection import Connection
from firstbyte.engine.observer import Observer
from firstbyte.errors import ProtocolError
from firstbyte.http.request import Request

if TYPE_CHECKING:
    from firstbyte.engine.entrance import Arrival

logger = logging.getLogger("firstbyte.access")


def set_up_logging(as_json: bool) -> None:
    """Sends the records of the package to standard error, as text or as one JSON object a line."""
    root = logging.getLogger("firstbyte")
    root.setLevel(logging.INFO)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if as_json else _TextFormatter(sys.stderr.isatty()))
    root.handlers[:] = [handler]
    root.propagate = False


class AccessLog(Observer):
    """Writes a line for each response: client, method, target, status, bytes, milliseconds from its head's arrival."""

    def __init__(self, stream: TextIO, as_json: bool) -> None:
        self._write = stream.write
        self._flush = stream.flush
        self._colour = stream.isatty() and not as_json
        self._as_json = as_json

    def head(self, connection: Connection, request: Request) -> None:
        """Notes the time."""
        connection.started = perf_counter()

    def write_ended(self, connection: Connection, request: Request, status: int, size: int) -> None:
        """Writes the line."""
        milliseconds = (perf_counter() - connection.started) * 1000
        if self._as_json:
            record = {
                "time": _now(),
                "client": request.client.host if request.client else "",
                "method": request.method,
                "target": request.target,
                "status": status,
                "bytes": size,
                "ms": round(milliseconds, 2),
            }
            line = msgspec.json.encode(record).decode() + "\n"
        else:
            shown = click.style(str(status), fg=_COLOURS[status // 100]) if self._colour else str(status)
            line = f"{request.client} {request.method} {request.target} {shown} {size} {milliseconds:.1f} ms\n"
        self._write(line)
        self._flush()


class ErrorLog(Observer):
    """Logs what the engine refused, with the rule and the byte, and when the system gives no more connections."""

    def rejected(self, connection: Connection | Arrival, error: ProtocolError) -> None:
        """Logs a request that was no valid one."""
        logger.warning(
            "%s refused with %d: %s (%s at byte %d)", connection.client, error.status, error, error.rule, error.offset
        )

    def accept_failed(self, error: OSError) -> None:
        """Logs that clients must wait."""
        logger.error("no more connections can be accepted for now: %s", error.strerror)


class _TextFormatter(logging.Formatter):
    def __init__(self, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno < logging.WARNING:
            return text
        level = record.levelname.lower()
        return f"{click.style(level, fg='red', bold=True) if self._colour else level}: {text}"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": _now(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry).decode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_COLOURS = {1: "white", 2: "green", 3: "cyan", 4: "yellow", 5: "red"}
