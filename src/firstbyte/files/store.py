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
    """A descriptor that several answers send from, each from its own place; closed when nobody needs it any more."""

    __slots__ = ("_fd", "_lock", "_users", "signature", "used")

    def __init__(self, file: BinaryIO, signature: Signature, lock: threading.Lock) -> None:
        self._fd = os.dup(file.fileno())
        self.signature = signature
        self._lock = lock
        self._users = 1  # whoever holds the object itself
        self.used = False

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    def span(self, start: int, stop: int) -> Span:
        """A part of the file as a body, which keeps it open."""
        with self._lock:
            self._users += 1
        return Span(self, start, stop - start)

    def release(self) -> None:
        """One user less."""
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            self._close()

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self._close()


class Span(FileBody):
    """A part of a file that others send from too."""

    __slots__ = ("_open",)

    def __init__(self, file: OpenFile, offset: int, count: int) -> None:
        super().__init__(cast(BinaryIO, file), offset, count)
        self._open: OpenFile | None = file

    def read(self, size: int) -> bytes:
        """See `FileBody.read`; the descriptor's own place is nobody's."""
        piece = os.pread(self.file.fileno(), min(size, self.count), self.offset)
        self.offset += len(piece)
        self.count -= len(piece)
        return piece

    def close(self) -> None:
        """Gives the file back, once."""
        held, self._open = self._open, None
        if held is not None:
            held.release()


class OpenFiles:
    """Descriptors by path, `limit` at most beside those that are being sent from."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._files: dict[str, OpenFile] = {}
        self._lock = threading.Lock()

    def span(self, path: str, signature: Signature, start: int, stop: int) -> FileBody | None:
        """A part of the file at `path`; None if it is not in this state any more. Raises HTTPError as `open_file`."""
        with self._lock:
            file = self._files.get(path)
            if file is not None and file.signature == signature:
                file.used = True
                file._users += 1
                return Span(file, start, stop - start)
        with open_file(path) as opened:
            if signature_of(os.fstat(opened.fileno())) != signature:
                return None
            file = OpenFile(opened, signature, self._lock)
        body = file.span(start, stop)
        self._keep(path, file)
        return body

    def close(self) -> None:
        """Closes what nobody sends from; what others do, when they are done."""
        with self._lock:
            files, self._files = list(self._files.values()), {}
        for file in files:
            file.release()

    def __len__(self) -> int:
        return len(self._files)

    def _keep(self, path: str, file: OpenFile) -> None:
        gone = []
        with self._lock:
            if path in self._files:
                gone.append(self._files.pop(path))
            self._files[path] = file
            while len(self._files) > self._limit:
                oldest = next(iter(self._files))
                entry = self._files.pop(oldest)
                if entry.used:
                    entry.used = False
                    self._files[oldest] = entry
                else:
                    gone.append(entry)
        for each in gone:
            each.release()
