"""Saves an answer in a file: what `download` decides, done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from firstbyte.client.download import (
    Action,
    Checksum,
    Partial,
    Step,
    interpret,
    name_for,
    note_path,
    part_path,
    resume_headers,
)
from firstbyte.client.progress import Progress
from firstbyte.client.request import parse_url
from firstbyte.client.response import ClientResponse
from firstbyte.errors import ClientError, InvalidRequest
from firstbyte.http.filenames import names_from
from firstbyte.http.headers import Headers
from firstbyte.http.url import URL

if TYPE_CHECKING:
    from firstbyte.client.session import BaseSession, ClientHeaders, RequestOptions

ProgressInput: TypeAlias = "bool | Callable[[int, int | None], None]"
"""True for a line on standard error; or a function that is called with the bytes that are there, and with the total or
None."""

_BLOCK = 256 * 1024  # bytes of a file that are read at once


async def save(
    session: BaseSession[Any],
    method: str,
    url: str | URL,
    path: Path,
    *,
    progress: ProgressInput,
    checksum: str | None,
    options: RequestOptions,
) -> tuple[Path, ClientResponse]:
    """Downloads into a file, or into a folder under the name that the answer gives; the file, and the last answer.

    A file that is named is replaced, one in a folder gets a name that is free. The bytes are in a part beside it until
    all of them are there; a part that an earlier try left is gone on with, if the server says that the file is still
    the same. Writing blocks, in a loop too. Raises ClientError: StatusError for an answer that is no file, BadResponse
    for a wrong checksum, InvalidRequest for a path that cannot be written.
    """
    expected = None if checksum is None else Checksum(checksum)
    asked = parse_url(str(url), session.base_url)
    file = None if path.is_dir() else path
    partial, have = (None, 0) if file is None else _begun(file, asked)
    while True:
        own = resume_headers(partial, have)
        options = options.copy()
        options["headers"] = [*_others(options.get("headers")), *own.items()]
        async with session.stream(method, url, **options) as response:
            step = interpret(asked, partial, have, response)
            if file is None:
                names = names_from(name_for(response.url, response.headers))
                file = next(place for place in (path / name for name in names) if not place.exists())
                partial, have = _begun(file, asked)
                if have:
                    continue  # now that its name is known, there is a part of it already: the rest is asked for
            if step.action is Action.RESTART:
                partial, have = None, 0
                continue
            await _finish(file, have, step, response, progress, expected)
            return file, response


async def _finish(
    path: Path, have: int, step: Step, response: ClientResponse, progress: ProgressInput, checksum: Checksum | None
) -> None:
    """Writes what an answer brings, and gives the file its name."""
    part, note = part_path(path), note_path(path)
    report = Progress(sys.stderr, path.name) if progress is True else progress or _ignore
    try:
        try:
            if step.action is not Action.DONE:
                await _write(part, note, have if step.action is Action.APPEND else 0, step, response, report)
            step.check(part.stat().st_size)
            if checksum is not None:
                _check(part, note, checksum)
            part.replace(path)
            note.unlink(missing_ok=True)
        except BaseException:
            if not note.exists():
                part.unlink(missing_ok=True)  # nothing can be done with it
            raise
    except ClientError:
        raise  # some are OSErrors too: of the network, not of the file
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if isinstance(report, Progress):
            report.close()


async def _write(
    part: Path,
    note: Path,
    done: int,
    step: Step,
    response: ClientResponse,
    report: Callable[[int, int | None], None],
) -> None:
    with part.open("ab" if done else "wb") as file:
        # The note comes after the old bytes are gone: it must never speak of others than those in the part.
        if step.partial is not None:
            note.write_bytes(step.partial.dump())
        else:
            note.unlink(missing_ok=True)
        report(done, step.total)
        async for piece in response.achunks():
            file.write(piece)
            done += len(piece)
            report(done, step.total)


def _check(part: Path, note: Path, checksum: Checksum) -> None:
    """Raises BadResponse for the wrong bytes, which are thrown away: no rest could mend them."""
    with part.open("rb") as file:
        while block := file.read(_BLOCK):
            checksum.update(block)
    try:
        checksum.check()
    except ClientError:
        note.unlink(missing_ok=True)
        raise


def _begun(path: Path, url: URL) -> tuple[Partial | None, int]:
    """What an earlier try left, and how many bytes of it."""
    try:
        partial = Partial.parse(note_path(path).read_bytes(), url)
        return (None, 0) if partial is None else (partial, part_path(path).stat().st_size)
    except OSError:
        return None, 0


def _others(headers: ClientHeaders | None) -> list[tuple[str, str | None]]:
    """The caller's fields, but for those that are the download's own."""
    pairs: list[tuple[str, str | None]] = list(
        headers.items() if isinstance(headers, Mapping | Headers) else headers or ()
    )
    return [(name, value) for name, value in pairs if name.lower() not in ("accept-encoding", "range", "if-range")]


def _ignore(done: int, total: int | None) -> None:
    """No progress is shown."""
