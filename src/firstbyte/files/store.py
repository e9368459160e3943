"""What is kept between answers: the bodies of small files in memory, and open descriptors of large ones. Both bounded.

An entry that is in the way of new ones goes, unless it has been used since the last look at it: then it gets a second
chance, behind the newest (the CLOCK algorithm). So a hit changes nothing but a flag.
"""

from __future__ import annotations

import os
import threading
from typing import BinaryIO, NamedTuple, cast

from firstbyte.http.response import FileBody
from firstbyte.http.send_file import open_file

ENTRY = 1024  # bytes that an entry counts for beside its body, so that their number is bounded too


class Signature(NamedTuple):
    """What tells one state of a file from another; the change of its inode says of changes that hide from mtime."""

    modified: int
    changed: int
    size: int
    inode: int


def signature_of(facts: os.stat_result) -> Signature:
    """The signature of a file by its stat."""
    return Signature(facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino)


Witness = tuple[bytes, Signature]
"""A file, links on the way to it not followed, as the system takes its name; and the state that it was found in."""


def is_still(path: bytes, signature: Signature) -> bool:
    """Whether the file at `path` is in this state."""
    try:
        facts = os.stat(path)
    except OSError:
        return False
    return signature_of(facts) == signature


try:
    from firstbyte.files import _native  # type: ignore[attr-defined]
except ImportError:
    pass  # it is not compiled
else:
    is_still = _native.is_still


class Served:
    """One representation of a file, as it was found, and what it is sent with.

    `body` is None where it is not in memory, and where it is not any more.
    """

    __slots__ = ("body", "etag", "headers", "media_type", "modified", "path", "signature", "size", "used")

    def __init__(
        self,
        path: str,
        signature: Signature,
        modified: float,
        etag: str,
        media_type: str,
        headers: dict[str, str],
        body: bytes | None,
    ) -> None:
        self.path = path
        self.signature = signature
        self.modified = modified  # seconds since the epoch
        self.etag = etag
        self.media_type = media_type
        self.headers = headers
        self.body = body
        self.size = signature.size if body is None else len(body)
        self.used = False


class Memory:
    """Representations by key, of `limit` bytes in all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: dict[tuple[str, str], Served] = {}
        self._lock = threading.Lock()
        self.size = 0  # bytes

    def get(self, key: tuple[str, str], signature: Signature) -> Served | None:
        """The entry, if it is of this state of the file."""
        served = self._entries.get(key)
        if served is None or served.signature != signature:
            return None
        served.used = True
        return served

    def put(self, key: tuple[str, str], served: Served) -> None:
        """Keeps an entry, in the place of an older one. One that is much of the limit is not kept."""
        weight = _weight(served)
        if weight > self._limit // 4:
            served.body = None  # as of one that has had to go
            return
        with self._lock:
            self._drop(key)
            self._entries[key] = served
            self.size += weight
            while self.size > self._limit:
                oldest = next(iter(self._entries))
                entry = self._entries[oldest]
                if entry.used:
                    entry.used = False
                    self._entries[oldest] = self._entries.pop(oldest)
                else:
                    self._drop(oldest)

    def __len__(self) -> int:
        return len(self._entries)

    def _drop(self, key: tuple[str, str]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= _weight(entry)
            entry.body = None  # whoever remembers the entry must not keep the body


def _weight(served: Served) -> int:
    return ENTRY + (0 if served.body is None else len(served.body))


class OpenFile:
    """A descriptor that several answers send from, each from its own place; closed when nobody has it any more."""

    __slots__ = ("_fd", "signature", "used")

    def __init__(self, file: BinaryIO, signature: Signature) -> None:
        self._fd = os.dup(file.fileno())
        self.signature = signature
        self.used = False

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    def __del__(self) -> None:
        os.close(self._fd)


class Span(FileBody):
    """A part of a file that others send from too. It has the file until it is closed."""

    __slots__ = ()

    def read(self, size: int) -> bytes:
        """See `FileBody.read`; the descriptor's own place is nobody's."""
        piece = os.pread(self.file.fileno(), min(size, self.count), self.offset)
        self.offset += len(piece)
        self.count -= len(piece)
        return piece

    def close(self) -> None:
        """Lets go of the file."""
        self.file = cast(BinaryIO, None)


class OpenFiles:
    """Descriptors by path, `limit` at most beside those that are being sent from."""

    __slots__ = ("_files", "_limit", "_lock")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._files: dict[str, OpenFile] = {}
        self._lock = threading.Lock()

    def span(self, path: str, signature: Signature, start: int, stop: int) -> Span | None:
        """A part of the file at `path`; None if it is not in this state any more. Raises HTTPError as `open_file`."""
        file = self._files.get(path)
        if file is None or file.signature != signature:
            with open_file(path) as opened:
                if signature_of(os.fstat(opened.fileno())) != signature:
                    return None
                file = OpenFile(opened, signature)
            self._keep(path, file)
        else:
            file.used = True
        return Span(cast(BinaryIO, file), start, stop - start)

    def close(self) -> None:
        """Lets go of all: what nobody sends from is closed, the rest when it is sent."""
        with self._lock:
            self._files.clear()

    def __len__(self) -> int:
        return len(self._files)

    def _keep(self, path: str, file: OpenFile) -> None:
        with self._lock:
            self._files.pop(path, None)
            self._files[path] = file
            while len(self._files) > self._limit:
                oldest = next(iter(self._files))
                entry = self._files.pop(oldest)
                if entry.used:
                    entry.used = False
                    self._files[oldest] = entry
