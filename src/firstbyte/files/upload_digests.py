"""The checksums that come with an upload: Content-Digest and Repr-Digest (RFC 9530), and Upload-Checksum of tus."""

from __future__ import annotations

import binascii
import hashlib
import re
from base64 import b64decode, b64encode
from hmac import compare_digest
from typing import NamedTuple

from firstbyte.errors import HTTPError
from firstbyte.http.headers import Headers

MISMATCH = 460
"""The status that tus has for bytes that are not those of their checksum."""
ALGORITHMS = {"sha256": "sha256", "sha512": "sha512", "sha1": "sha1", "md5": "md5"}
"""tus' names, and hashlib's."""
_DIGESTS = {"sha-256": "sha256", "sha-512": "sha512"}  # RFC 9530 section 5: the others are insecure, or are not digests
_MEMBER = re.compile(r"[ \t]*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):[ \t]*(?:,|\Z)")


class _Expected(NamedTuple):
    shown: str
    digest: bytes
    status: int


class Checksums:
    """What bytes are to hash to; give them to `update` as they come."""

    def __init__(self) -> None:
        self._expected: list[tuple[_Expected, hashlib._Hash]] = []

    @classmethod
    def of(cls, headers: Headers) -> Checksums:
        """Those that Content-Digest and Repr-Digest name. Raises HTTPError 400 if one is malformed.

        Algorithms that are not known are passed over (RFC 9530 section 2). For a body without content coding that is
        all of a file, as in a PUT, both fields say the same.
        """
        self = cls()
        for field in ("Content-Digest", "Repr-Digest"):
            value = headers.get_joined(field.lower())
            at = 0
            while value is not None and at < len(value):
                match = _MEMBER.match(value, at)
                if match is None:
                    raise HTTPError(400, f"{field} is malformed at {at} (RFC 9530 section 2)")
                if match[1] in _DIGESTS:
                    self._add(f"{field} {match[1]}", _DIGESTS[match[1]], match[2], 400)
                at = match.end()
        return self

    @classmethod
    def of_chunk(cls, headers: Headers) -> Checksums:
        """That of Upload-Checksum. Raises HTTPError 400 if it is malformed or its algorithm is not known."""
        self = cls()
        value = headers.get("upload-checksum")
        if value is not None:
            name, _, digest = value.partition(" ")
            if name not in ALGORITHMS:
                raise HTTPError(400, f"Upload-Checksum names none of {', '.join(ALGORITHMS)}")
            self._add(f"Upload-Checksum {name}", ALGORITHMS[name], digest, MISMATCH)
        return self

    def __bool__(self) -> bool:
        return bool(self._expected)

    def update(self, piece: bytes) -> None:
        """Adds bytes."""
        for _, hashing in self._expected:
            hashing.update(piece)

    def check(self) -> None:
        """Raises HTTPError if the bytes were others: 400, or 460 where tus has a status for it."""
        for expected, hashing in self._expected:
            if not compare_digest(hashing.digest(), expected.digest):
                came = b64encode(hashing.digest()).decode()
                raise HTTPError(expected.status, f"{expected.shown} does not match: what came has {came}")

    def _add(self, shown: str, algorithm: str, digest: str, status: int) -> None:
        hashing = hashlib.new(algorithm, usedforsecurity=False)
        try:
            expected = b64decode(digest, validate=True)
        except (binascii.Error, ValueError):
            expected = b""
        if len(expected) != hashing.digest_size:
            raise HTTPError(400, f"{shown} is no base64 of {hashing.digest_size} bytes")
        self._expected.append((_Expected(shown, expected, status), hashing))
