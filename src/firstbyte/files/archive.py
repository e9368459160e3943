"""A folder as a zip file that is made while it is sent, in memory that does not grow with it."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator, Sequence
from time import localtime

from firstbyte.errors import HTTPError
from firstbyte.files.compression import is_compressible
from firstbyte.files.paths import Root
from firstbyte.files.policy import Policy
from firstbyte.http.filenames import attachment
from firstbyte.http.response import Response

MAX_FILES = 50_000  # of one archive, whose end lists them all
MAX_NAMES = 4 * MAX_FILES  # that are looked at to find them: there may be many folders, and what is not served
_PIECE = 64 * 1024  # bytes of a file read at a time


def archive_response(root: Root, parts: Sequence[str], path: str, policy: Policy) -> Response:
    """All that is served of the folder at `path`, as a zip file. Raises HTTPError 413 for more than MAX_FILES files, or
    more than MAX_NAMES of anything."""
    files = []
    for each in walk(root, parts, path):
        files.append(each)
        if len(files) > MAX_FILES:
            raise _too_many(f"{MAX_FILES:,} files")
    name = (parts[-1] if parts else os.path.basename(root.path) or "files") + ".zip"
    headers = {
        "Content-Disposition": attachment(name),
        "Cache-Control": "no-cache",
    }
    return Response(_zipped(files, policy), 200, headers, "application/zip")


def walk(root: Root, parts: Sequence[str], path: str) -> Iterator[tuple[str, str]]:
    """Each file that is served below the folder at `path`: its name there, and its path without links.

    Links to folders are left out: they lead to what is there under another name, or in a loop. Raises HTTPError 413.
    """
    seen = 0
    waiting: list[tuple[tuple[str, ...], str]] = [((), path)]  # names below the folder, and where they lead
    while waiting:
        names, folder = waiting.pop()
        try:
            found = sorted(os.listdir(folder))
        except OSError:
            continue  # it may not be read
        seen += len(found)
        if seen > MAX_NAMES:
            raise _too_many(f"{MAX_NAMES:,} files and folders")
        for name in found:
            below = (*names, name)
            depth = len(parts) + len(names)
            located = root.locate([*parts, *below]) if root.is_served_name(name, depth) and _is_text(name) else None
            if located is None:
                continue
            if os.path.isfile(located):
                yield "/".join(below), located
            elif os.path.isdir(located) and located == os.path.join(folder, name):
                waiting.append((below, located))


def _zipped(files: Sequence[tuple[str, str]], policy: Policy) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, path in files:
            try:
                file = open(path, "rb")  # noqa: SIM115 - it is closed below
            except OSError:
                continue  # it is gone by now, or may not be read
            with file:
                facts = os.fstat(file.fileno())
                # The format knows no year before 1980, nor after 2107.
                info = zipfile.ZipInfo(name, max((1980, 1, 1, 0, 0, 0), min(localtime(facts.st_mtime)[:6], _LATEST)))
                info.external_attr = (facts.st_mode & 0xFFFF) << 16
                info.compress_type = (
                    zipfile.ZIP_DEFLATED if is_compressible(policy.media_type(name)) else zipfile.ZIP_STORED
                )
                with archive.open(info, "w", force_zip64=facts.st_size >= zipfile.ZIP64_LIMIT // 2) as member:
                    while piece := file.read(_PIECE):
                        member.write(piece)
                        if made := sink.take():
                            yield made
    yield sink.take()


class _Sink(io.RawIOBase):
    """Takes what is written, to be taken from it; it cannot go back, so zipfile puts sizes behind the members."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        """What was written since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _too_many(what: str) -> HTTPError:
    return HTTPError(413, f"the folder has more than {what}: too many for one archive")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeError:
        return False
    return True


_LATEST = (2107, 12, 31, 23, 59, 58)
