"""The decisions of a download: what is asked for, what the answer means, what the file may be called.

No I/O is done here. The bytes go into `part_path(path)`, and what they are the beginning of, a `Partial`, into
`note_path(path)`; the file gets its own name when it is complete. So:

    step = interpret(url, partial, have, response)     # to resume_headers(partial, have)
    RESTART:  ask again without a Range                # and take the answer by interpret(url, None, 0, response)
    WRITE:    note step.partial, write from the first byte
    APPEND:   write behind what is there
    DONE:     nothing to write
    step.check(size); rename
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import unquote_to_bytes

import msgspec

from firstbyte.client.views import Answer
from firstbyte.errors import BadResponse, IncompleteBody, InvalidRequest, StatusError
from firstbyte.http.dates import parse_date
from firstbyte.http.filenames import safe_name
from firstbyte.http.headers import Headers
from firstbyte.http.url import URL


class Partial(msgspec.Struct, frozen=True):
    """What a part of a file is part of: the URL (its hash), its strong validator, and its whole size if known."""

    url: str
    validator: str  # an entity tag, or a date of Last-Modified
    size: int | None = None

    def dump(self) -> bytes:
        """As JSON, to be kept beside the part."""
        return msgspec.json.encode(self)

    @classmethod
    def parse(cls, data: bytes, url: URL) -> Partial | None:
        """What `dump` wrote, or None if it is nothing of the kind or is about another URL: then nothing is resumed."""
        try:
            found = msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return found if found.url == _fingerprint(url) and _is_strong(found.validator) else None


class Action(Enum):
    """What to do with an answer."""

    WRITE = "write"  # its body is the whole file
    APPEND = "append"  # its body is the rest of the file
    DONE = "done"  # the part is the whole file already
    RESTART = "restart"  # ask again without a Range: the part is of no use


@dataclass(frozen=True)
class Step:
    """What an answer means. `total` is the size of the whole file, or None if nobody said.

    `partial` is what is to be noted before the first byte is written, None if this download cannot be resumed: then an
    old note is to be removed.
    """

    action: Action
    total: int | None = None
    partial: Partial | None = None

    def check(self, size: int) -> None:
        """To be called when all is written, with the size of the file. Raises IncompleteBody."""
        if self.total is not None and size != self.total:
            raise IncompleteBody(
                f"the download has {size} of {self.total} bytes", received=size, expected=self.total, phase="body"
            )


def part_path(path: Path) -> Path:
    """Where the bytes are until the file is complete."""
    return path.with_name(f"{path.name}.part")


def note_path(path: Path) -> Path:
    """Where the `Partial` is until the file is complete."""
    return path.with_name(f"{path.name}.part.json")


def resume_headers(partial: Partial | None, have: int) -> Headers:
    """The fields that ask for a file, or for what is behind the first `have` bytes of it if it is still the same.

    If-Range has the strong validator (RFC 9110 section 13.1.5), so that a file that changed comes whole. A content
    coding is never asked for: it would be another representation, with other bytes to count.
    """
    headers = Headers({"Accept-Encoding": "identity"})
    if partial is not None and have > 0:
        headers.add("Range", f"bytes={have}-")
        headers.add("If-Range", partial.validator)
    return headers


def interpret(url: URL, partial: Partial | None, have: int, response: Answer) -> Step:
    """What the answer to a request with `resume_headers(partial, have)` means (RFC 9110 sections 14 and 15.3.7).

    Raises BadResponse (rule "content-range") for a part that was not asked for, and StatusError for an answer that is
    no file.
    """
    asked = partial if have > 0 else None
    if response.status in (200, 203):
        return _whole(url, response.headers)
    if response.status == 206:
        span = _CONTENT_RANGE.fullmatch(response.headers.get("content-range") or "")
        if asked is None:
            raise BadResponse("the server sent a part of the file without being asked for one", rule="content-range")
        return Step(Action.RESTART) if span is None else _rest(asked, have, span, response.headers)
    if response.status == 416 and asked is not None:
        unsatisfied = _UNSATISFIED.fullmatch(response.headers.get("content-range") or "")
        if unsatisfied is not None and int(unsatisfied[1]) == have == asked.size:
            return Step(Action.DONE, have)
        return Step(Action.RESTART)
    raise StatusError(f"the server has no file to download: {response.status}", response=response)


def name_for(url: URL, headers: Headers) -> str:
    """The name of a download, made safe: that in Content-Disposition, else the path's last part, else "download"."""
    given = disposition_name(headers.get("content-disposition") or "")
    last = unquote_to_bytes(url.path.rpartition("/")[2]).decode("utf-8", "replace")
    return (safe_name(given) if given else "") or safe_name(last) or "download"


def disposition_name(value: str) -> str | None:
    """The file name in a Content-Disposition as the server wrote it, not safe to use, or None (RFC 6266 section 4).

    filename* goes before filename (RFC 8187). What is written without quotes goes to the next semicolon, and bytes
    outside ASCII are UTF-8 where they can be, as browsers read it.
    """
    found: dict[str, str] = {}
    for match in _DISPOSITION.finditer(value, len(value.partition(";")[0])):
        name, quoted, plain = match.groups()
        text = plain.strip(" \t") if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        found.setdefault(name.lower(), text)
    extended = _EXTENDED.fullmatch(found.get("filename*", ""))
    if extended is not None:
        try:
            return unquote_to_bytes(extended[2]).decode(_CHARSETS[extended[1].lower()])
        except (KeyError, UnicodeDecodeError):
            pass  # the other one is there for this (RFC 6266 section 4.3)
    name = found.get("filename")
    if name is None:
        return None
    try:
        return name.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return name


class Checksum:
    """The promise that a file hashes to what the caller knows: "sha256:2cf24d..." and any algorithm of hashlib.

    Feed it the whole file with `update`, a part that was there before too. Raises InvalidRequest for an algorithm that
    is not there, and for a value that is not as long as its.
    """

    def __init__(self, text: str) -> None:
        algorithm, _, value = text.strip().partition(":")
        name = algorithm.lower().replace("sha-", "sha")
        if name not in hashlib.algorithms_guaranteed or name.startswith("shake"):
            raise InvalidRequest(f"the checksum {text!r} must begin with an algorithm, as sha256: does")
        self._hash = hashlib.new(name, usedforsecurity=False)
        self._value = value.strip().lower()
        if re.fullmatch(f"[0-9a-f]{{{2 * self._hash.digest_size}}}", self._value) is None:
            raise InvalidRequest(f"the checksum {text!r} must have {2 * self._hash.digest_size} hexadecimal digits")

    def update(self, data: bytes) -> None:
        """Takes the bytes that come next in the file."""
        self._hash.update(data)

    def check(self) -> None:
        """Raises BadResponse (rule "checksum") if the bytes are not those that were promised."""
        found = self._hash.hexdigest()
        if found != self._value:
            raise BadResponse(
                f"the download's {self._hash.name} is {found} instead of {self._value}", rule="checksum", phase="body"
            )


_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)  # section 14.4
_UNSATISFIED = re.compile(r"bytes \*/([0-9]{1,18})", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,18}")
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')  # section 8.8.3
_SETTLED = 60.0  # seconds from Last-Modified to Date after which the former is a strong validator: section 8.8.2.2
_DISPOSITION = re.compile(r';[ \t]*([^\s;="]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^;"]*))')
_EXTENDED = re.compile(r"([A-Za-z0-9-]+)'[^']*'(.*)")
_CHARSETS = {"utf-8": "utf-8", "iso-8859-1": "latin-1"}  # RFC 8187 section 3.2.1, and the one it was before
# What Windows refuses; controls; what has no UTF-8; what turns text around, or is not seen.


def _whole(url: URL, headers: Headers) -> Step:
    if _is_coded(headers):
        return Step(Action.WRITE)  # what is written is decoded: neither its length nor its tag is of that
    length = headers.get("content-length") or ""
    total = int(length) if _LENGTH.fullmatch(length) else None
    validator = _validator(headers)
    if validator is None or (headers.get("accept-ranges") or "").lower() == "none":
        return Step(Action.WRITE, total)
    return Step(Action.WRITE, total, Partial(_fingerprint(url), validator, total))


def _rest(asked: Partial, have: int, span: re.Match[str], headers: Headers) -> Step:
    """What a part is, if it is the one that was asked for, of the file that was begun."""
    first, last = int(span[1]), int(span[2])
    total = asked.size if span[3] == "*" else int(span[3])
    etag = headers.get("etag")
    fits = (
        first == have
        and first <= last
        and (total is None or last < total)
        and asked.size in (None, total)
        and not _is_coded(headers)
        and not (etag is not None and asked.validator.startswith('"') and etag != asked.validator)
    )
    return Step(Action.APPEND, total, Partial(asked.url, asked.validator, total)) if fits else Step(Action.RESTART)


def _validator(headers: Headers) -> str | None:
    """The strong validator of an answer, or None (RFC 9110 section 8.8.1)."""
    etag, modified = headers.get("etag"), headers.get("last-modified")
    if etag is not None and _STRONG_ETAG.fullmatch(etag):
        return etag
    changed, now = parse_date(modified or ""), parse_date(headers.get("date") or "")
    return modified if changed is not None and now is not None and now - changed >= _SETTLED else None


def _is_strong(validator: str) -> bool:
    return _STRONG_ETAG.fullmatch(validator) is not None or parse_date(validator) is not None


def _fingerprint(url: URL) -> str:
    """What stands for a URL in a file: the query may hold secrets. The fragment is not asked for."""
    return hashlib.sha256(f"{url.origin}{url.target}".encode()).hexdigest()


def _is_coded(headers: Headers) -> bool:
    """Whether the body is not the file itself."""
    return (headers.get_joined("content-encoding") or "identity").lower() != "identity"
