"""A request body on its way in: in memory while it is short, then in a temporary file."""

from __future__ import annotations

from time import monotonic
from typing import BinaryIO

from firstbyte.engine._sys import Place
from firstbyte.engine.timeouts import Timeouts
from firstbyte.errors import ProtocolError
from firstbyte.wire.limits import Limits
from firstbyte.wire.messages import MessageReader


class Collector:
    """Takes the pieces of one body, as the limits and timeouts say; `add` raises OSError on a full disk.

    `length` is the body's in bytes, negative where it was not said. `place` is where one is received that is known to
    have room in memory; None for any other.
    """

    __slots__ = ("_began", "_file", "_limits", "_pieces", "_timeouts", "place", "size")

    def __init__(self, limits: Limits, timeouts: Timeouts, length: int) -> None:
        self.place = Place(length) if 0 <= length <= limits.body_memory else None
        self._limits = limits
        self._timeouts = timeouts
        self._began = monotonic()
        self._pieces: list[bytes] = []
        self._file: BinaryIO | None = None
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Takes the next piece."""
        self.size += len(piece)
        if self.place is not None:
            self.place.put(piece)
            return
        if self._file is None and self.size > self._limits.body_memory:
            import tempfile  # here, since it takes long to import

            self._file = tempfile.TemporaryFile(prefix="firstbyte-")  # noqa: SIM115 - `take` gives it away, `close` closes it
            self._file.writelines(self._pieces)
            self._pieces.clear()
        if self._file is not None:
            self._file.write(piece)
        elif piece:
            self._pieces.append(piece)

    def receive(self, fd: int, reader: MessageReader) -> int:
        """Receives what is here into the place, past the reader; how much. Raises OSError, as `Place.receive` does."""
        assert self.place is not None
        count = self.place.receive(fd)
        self.size += count
        reader.pass_over(count)
        return count

    def wait(self) -> float:
        """Until when the next piece is waited for, on the monotonic clock. Raises ProtocolError 408 for a body that is
        too slow: one that drips is not told from others by the time between two drops."""
        now = monotonic()
        due = self._began + self._timeouts.for_body(self.size, self._limits.body_rate)
        if due <= now:
            raise ProtocolError(408, "body-rate", "the body comes too slowly")
        return min(due, now + self._timeouts.body)

    def take(self) -> bytes | BinaryIO:
        """The whole body, as bytes or as a file that is the caller's to close."""
        if self.place is not None:
            return self.place.take()
        if self._file is None:
            return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        file, self._file = self._file, None
        return file

    def close(self) -> None:
        """Gives up a body that will not be taken."""
        if self._file is not None:
            self._file.close()
