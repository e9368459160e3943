"""A file as a response, with the conditions and the range that the request has."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from time import time
from typing import BinaryIO

from firstbyte.errors import HTTPError
from firstbyte.http.conditionals import Outcome, evaluate, range_applies
from firstbyte.http.dates import format_date
from firstbyte.http.media import guess_type
from firstbyte.http.ranges import Unsatisfiable, content_range, parse_range
from firstbyte.http.request import Request
from firstbyte.http.response import FileBody, Response

_IN_MEMORY = 16 * 1024  # bytes up to which a file is read at once: cheaper than a sendfile of its own


def send_file(path: str | Path, request: Request, *, media_type: str | None = None, status: int = 200) -> Response:
    """The response that sends the file at `path`: whole, the part that Range asks for, or 304.

    The media type is told from the name unless it is given. Raises HTTPError: 404 if there is no such file, 403 if it
    may not be read, 412 and 416 by the request's conditions.
    """
    try:
        file: BinaryIO = open(path, "rb", buffering=0, opener=_open)  # noqa: SIM115 - the response closes it
    except PermissionError:
        raise HTTPError(403, "the server may not read this file") from None
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        raise HTTPError(404) from None
    except ValueError:
        raise HTTPError(404) from None
    try:
        response = _response(file, path, request, media_type, status)
    except BaseException:
        file.close()
        raise
    if not isinstance(response.body, FileBody):
        file.close()
    return response


def _response(file: BinaryIO, path: str | Path, request: Request, media_type: str | None, status: int) -> Response:
    facts = os.fstat(file.fileno())
    if not stat.S_ISREG(facts.st_mode):
        raise HTTPError(404)
    size = facts.st_size
    etag = etag_of(facts)
    changed = min(facts.st_mtime, time())  # RFC 9110 section 8.8.2.1: never later than the answer itself
    headers = {"ETag": etag, "Last-Modified": format_date(changed), "Accept-Ranges": "bytes"}
    if status == 200:
        outcome = evaluate(request.method, request.headers, etag, changed)
        if outcome is Outcome.NOT_MODIFIED:
            return Response(b"", 304, headers)
        if outcome is Outcome.FAILED:
            raise HTTPError(412, "the file is not the one that the request's condition names")
    start, stop = 0, size
    asked = request.headers.get("range")
    if (
        status == 200
        and asked is not None
        and request.method == "GET"
        and range_applies(request.headers, etag, changed)
    ):
        try:
            spans = parse_range(asked, size)
        except Unsatisfiable as error:
            raise HTTPError(416, str(error), {"Content-Range": f"bytes */{size}"}) from None
        if spans is not None and len(spans) == 1:  # several at once may be answered whole (section 14.2)
            start, stop = spans[0]
            status = 206
            headers["Content-Range"] = content_range(start, stop, size)
    kind = media_type or guess_type(str(path))
    if stop - start <= _IN_MEMORY:
        file.seek(start)
        return Response(file.read(stop - start), status, headers, kind)
    return Response(FileBody(file, start, stop - start), status, headers, kind)


def etag_of(facts: os.stat_result) -> str:
    """The entity tag of a file as it is now."""
    return f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'


def _open(path: str, flags: int) -> int:
    """Opens without waiting: a FIFO would have to be written into first."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


# A name that leads nowhere, or to what is no file: ENXIO is a socket's answer, or a FIFO's.
_NO_FILE = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.ENODEV)
)
