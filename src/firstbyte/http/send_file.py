"""A file as a response, with the conditions and the ranges that the request has."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from time import time
from typing import BinaryIO

from firstbyte.errors import HTTPError
from firstbyte.http.filenames import attachment
from firstbyte.http.media import guess_type
from firstbyte.http.representation import Representation, respond
from firstbyte.http.request import Request
from firstbyte.http.response import FileBody, Response

_IN_MEMORY = 16 * 1024  # bytes up to which a file is read at once: cheaper than a sendfile of its own


def send_file(
    path: str | Path,
    request: Request,
    *,
    media_type: str | None = None,
    status: int = 200,
    download_name: str | None = None,
) -> Response:
    """The response that sends the file at `path`: whole, the parts that Range asks for, or 304.

    The media type is told from the name unless it is given. With `download_name` browsers do not show the file but save
    it under that name, made safe. Raises HTTPError: 404 if there is no such file, 403 if it may not be read, 412 and
    416 by the request's conditions.
    """
    file = open_file(path)
    response = None
    try:
        facts = os.fstat(file.fileno())

        def span(start: int, stop: int) -> bytes | FileBody:
            if stop - start > _IN_MEMORY:
                return FileBody(file, start, stop - start)
            file.seek(start)
            return file.read(stop - start)

        what = Representation(
            facts.st_size, etag_of(facts), changed_at(facts), media_type or guess_type(str(path)), span
        )
        response = respond(request, what, status)
    finally:
        if response is None or isinstance(response.body, bytes):
            file.close()
    if download_name is not None:
        response.headers["Content-Disposition"] = attachment(download_name)
    return response


def open_file(path: str | Path) -> BinaryIO:
    """A regular file, to be read. Raises HTTPError: 404 if there is none, 403 if it may not be read."""
    try:
        file: BinaryIO = open(path, "rb", buffering=0, opener=_open)  # noqa: SIM115 - whoever asks closes it
    except PermissionError:
        raise HTTPError(403, "the server may not read this file") from None
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        raise HTTPError(404) from None
    except ValueError:
        raise HTTPError(404) from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise HTTPError(404)
    return file


def etag_of(facts: os.stat_result, coding: str = "") -> str:
    """The entity tag of a file, or of its representation in a content coding."""
    return f'"{facts.st_mtime_ns:x}-{facts.st_size:x}{coding and "-" + coding}"'


def changed_at(facts: os.stat_result) -> float:
    """When a file was changed, in seconds since the epoch; never later than now (RFC 9110 section 8.8.2.1)."""
    return min(facts.st_mtime, time())


def _open(path: str, flags: int) -> int:
    """Opens without waiting: a FIFO would have to be written into first."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


# A name that leads nowhere, or to what is no file: ENXIO is a socket's answer, or a FIFO's.
_NO_FILE = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.ENODEV)
)
