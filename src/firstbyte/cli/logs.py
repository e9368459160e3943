"""The error log: a line for each request that was refused, and for clients that must wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbyte._lazy import lazy_logger
from firstbyte.engine.connection import Connection
from firstbyte.engine.observer import Observer
from firstbyte.errors import ProtocolError

if TYPE_CHECKING:
    from firstbyte.engine.entrance import Arrival

logger = lazy_logger("firstbyte.access")


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
