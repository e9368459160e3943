"""Where the records of the program's own log go, and what they look like."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

from firstbyte.cli.say import styled


def set_up_logging(as_json: bool) -> None:
    """Sends the records of the package to standard error, as text or as one JSON object a line."""
    root = logging.getLogger("firstbyte")
    root.setLevel(logging.INFO)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if as_json else _TextFormatter(sys.stderr.isatty()))
    root.handlers[:] = [handler]
    root.propagate = False


class _TextFormatter(logging.Formatter):
    def __init__(self, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno < logging.WARNING:
            return text
        level = record.levelname.lower()
        return f"{styled(level, colour='red', bold=True) if self._colour else level}: {text}"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        import msgspec

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
