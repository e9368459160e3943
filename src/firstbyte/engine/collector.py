"""A request body on its way in: in memory while it is short, then in a temporary file."""

from __future__ import annotations

from typing import BinaryIO


class Collector:
    """Takes the pieces of one body. Up to `in_memory` bytes stay in memory; `add` raises OSError on a full disk."""

    __slots__ = ("_file", "_in_memory", "_pieces", "size")

    def __init__(self, in_memory: int) -> None:
        self._in_memory = in_memory
        self._pieces: list[bytes] = []
        self._file: BinaryIO | None = None
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Takes the next piece."""
        self.size += len(piece)
        if self._file is None and self.size > self._in_memory:
            import tempfile  # here, since it takes long to import

            self._file = tempfile.TemporaryFile(prefix="firstbyte-")  # noqa: SIM115 - `take` gives it away, `close` closes it
            self._file.writelines(self._pieces)
            self._pieces.clear()
        if self._file is not None:
            self._file.write(piece)
        elif piece:
            self._pieces.append(piece)

    def take(self) -> bytes | BinaryIO:
        """The whole body, as bytes or as a file that is the caller's to close."""
        if self._file is None:
            return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        file, self._file = self._file, None
        return file

    def close(self) -> None:
        """Gives up a body that will not be taken."""
        if self._file is not None:
            self._file.close()
