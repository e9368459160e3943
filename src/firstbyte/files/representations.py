"""Which representation of a file a request is sent, and where its bytes are: in memory, or in an open file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from time import time
from typing import NamedTuple

from firstbyte.errors import HTTPError
from firstbyte.files.compression import SUFFIXES, WORTH_IT, acceptable, compress, is_compressible
from firstbyte.files.paths import Root
from firstbyte.files.policy import Policy
from firstbyte.files.store import Memory, OpenFiles, Served, Signature, Witness, signature_of
from firstbyte.http.representation import Representation
from firstbyte.http.request import Request
from firstbyte.http.response import FileBody
from firstbyte.http.send_file import etag_of, open_file

SMALL = 32 * 1024  # bytes up to which a file is kept in memory; sendfile is cheaper beyond
COMPRESSED = 4 * 1024 * 1024  # bytes up to which a text is compressed on the fly
COMPRESSING = 2  # texts compressed at once; meanwhile others are sent as they are


class Changed(Exception):
    """The file became another while it was looked at: look again."""


class Found(NamedTuple):
    """A representation, its body if it is in memory, and the files whose stat says that it is still the one."""

    served: Served
    body: bytes | None
    witnesses: tuple[Witness, ...]


class Representations:
    """Finds them below `root`, with what `policy` says of each file; `compresses` says whether they have codings,
    `siblings` whether what stands beside a file may be one of them."""

    def __init__(
        self, root: Root, policy: Policy, compresses: bool, siblings: bool, memory: int, open_files: int
    ) -> None:
        self._root = root
        self._policy = policy
        self._compresses = compresses
        self._suffixes = SUFFIXES if siblings else {}
        self._memory = Memory(memory)
        self.open_files = OpenFiles(open_files)
        self._compressing: set[str] = set()

    def find(self, request: Request, parts: list[str], path: str) -> Found:
        """What of the file that `parts` lead to, which is at `path`, suits the request best.

        Raises HTTPError: 404 for what is no file, 403 for one that may not be read; and Changed.
        """
        facts = _facts(path)
        if facts is None:
            raise HTTPError(404, f"nothing is at {request.path}")
        witness = (os.fsencode(self._root.join(parts)), signature_of(facts))
        media_type = self._policy.media_type(path)
        headers = self._policy.headers("/".join(parts))
        codings = self._codings(request, parts, facts, media_type) if self._compresses else None
        if codings is not None:
            vary = headers.get("Vary")
            headers["Vary"] = "Accept-Encoding" if vary is None else f"{vary}, Accept-Encoding"
            for coding, sibling in codings:
                coded = {**headers, "Content-Encoding": coding}
                if sibling is None:
                    served, body = self._compressed(path, facts, media_type, coded, coding)
                    if served is not None:
                        return Found(served, body, (witness,))
                elif (its_facts := _facts(sibling)) is not None:
                    served, body = self._as_it_is(sibling, its_facts, media_type, coded, coding)
                    return Found(served, body, (witness, (os.fsencode(sibling), served.signature)))
        served, body = self._as_it_is(path, facts, media_type, headers)
        return Found(served, body, (witness,))

    def representation(self, found: Found) -> Representation:
        """What `http.representation` answers with."""
        served = found.served
        changed = min(served.modified, time())  # RFC 9110 section 8.8.2.1: never later than the answer itself
        return Representation(
            served.size, served.etag, changed, served.media_type, self._span_of(found), served.headers
        )

    def _codings(
        self, request: Request, parts: list[str], facts: os.stat_result, media_type: str
    ) -> list[tuple[str, str | None]] | None:
        """The codings to try, best first, each with the sibling that has it; None if the file has none at all."""
        siblings = self._siblings(parts, facts)
        compressible = facts.st_size >= WORTH_IT and is_compressible(media_type)
        if not siblings and not compressible:
            return None
        wanted = acceptable(request.headers.get_joined("accept-encoding") or "")
        made = [(coding, path) for coding, path in siblings.items() if coding in wanted]
        made.sort(key=lambda each: wanted.index(each[0]))
        # What is compressed here may differ by a byte tomorrow: ranges are of the file itself.
        if made or not compressible or facts.st_size > COMPRESSED or "range" in request.headers:
            return list(made)
        return [(coding, None) for coding in wanted]

    def _siblings(self, parts: list[str], facts: os.stat_result) -> dict[str, str]:
        """The files that stand beside a file in a content coding, if they are not older than it."""
        found = {}
        for coding, suffix in self._suffixes.items():
            path = self._root.locate([*parts[:-1], parts[-1] + suffix])
            its_facts = None if path is None else _facts(path)
            if path is not None and its_facts is not None and int(its_facts.st_mtime) >= int(facts.st_mtime):
                found[coding] = path
        return found

    def _as_it_is(
        self, path: str, facts: os.stat_result, media_type: str, headers: dict[str, str], coding: str = ""
    ) -> tuple[Served, bytes | None]:
        """The file as it is on the disk. Raises Changed."""
        signature = signature_of(facts)
        served = self._memory.get((path, coding), signature)
        body = None if served is None else served.body
        if served is None or body is None or served.headers != headers:
            body = _read(path, signature) if facts.st_size <= SMALL else None
            etag = etag_of(facts, coding)
            served = Served(path, signature, facts.st_mtime, etag, media_type, headers, body)
            if body is not None:
                self._memory.put((path, coding), served)
        return served, body

    def _compressed(
        self, path: str, facts: os.stat_result, media_type: str, headers: dict[str, str], coding: str
    ) -> tuple[Served | None, bytes | None]:
        """The file compressed, now or before; None if that is not to be had. Raises Changed."""
        signature = signature_of(facts)
        served = self._memory.get((path, coding), signature)
        body = None if served is None else served.body
        if served is None or body is None:
            if path in self._compressing or len(self._compressing) >= COMPRESSING:
                return None, None
            self._compressing.add(path)
            try:
                body = compress(_read(path, signature), coding)
            finally:
                self._compressing.discard(path)
            if body is None:
                return None, None
            served = Served(path, signature, facts.st_mtime, f"W/{etag_of(facts, coding)}", media_type, headers, body)
            self._memory.put((path, coding), served)
        return served, body

    def _span_of(self, found: Found) -> Callable[[int, int], bytes | FileBody]:
        served, body = found.served, found.body
        if body is not None:
            return lambda start, stop: body[start:stop]

        def span(start: int, stop: int) -> FileBody:
            part = self.open_files.span(served.path, served.signature, start, stop)
            if part is None:
                raise Changed
            return part

        return span


def _facts(path: str) -> os.stat_result | None:
    """The stat of a regular file; None if there is none."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts if stat.S_ISREG(facts.st_mode) else None


def _read(path: str, signature: Signature) -> bytes:
    """A file's bytes. Raises Changed if it is not in that state, HTTPError if it may not be read."""
    with open_file(path) as file:
        if signature_of(os.fstat(file.fileno())) != signature:
            raise Changed
        return file.read()
