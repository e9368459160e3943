"""Uploads that can be resumed: the server's side of tus 1.0 (https://tus.io/protocols/resumable-upload).

POST to a folder creates an upload, PATCH to the address that it is given adds to it, HEAD asks how much of it is there,
DELETE gives it up. The extensions: creation, creation-with-upload, termination, checksum, expiration.
"""

from __future__ import annotations

import binascii
import re
import unicodedata
from base64 import b64decode
from collections.abc import Sequence
from contextlib import closing
from urllib.parse import quote

import msgspec

from firstbyte.errors import HTTPError
from firstbyte.files.upload_digests import ALGORITHMS, Checksums
from firstbyte.files.upload_store import Partial, Store, too_large
from firstbyte.http.dates import format_date
from firstbyte.http.filenames import safe_name
from firstbyte.http.request import Request
from firstbyte.http.response import Response

VERSION = "1.0.0"
CHUNK = "application/offset+octet-stream"
PLACE = ".uploads"
"""The last but one part of an upload's path; hidden, and so never that of a file that is served."""
_ADDRESS = re.compile(rf"/{re.escape(PLACE)}/([0-9a-f]{{32}})\Z")
_NUMBER = re.compile("[0-9]{1,18}")


class Upload(msgspec.Struct):
    """What is kept of an upload beside its bytes."""

    length: int
    folders: tuple[str, ...]
    name: str
    metadata: str
    saved: tuple[str, ...] = ()
    """The path below the root that the file has got; empty until it is complete."""


def upload_at(raw_path: str) -> str | None:
    """The identifier of the upload whose address that is, if it is one's."""
    match = _ADDRESS.search(raw_path)
    return match and match[1]


class Tus:
    """Answers for the uploads of a store. Its methods raise HTTPError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def headers(self) -> dict[str, str]:
        """What OPTIONS tells of the server."""
        limit = self._store.limits.file_bytes
        return {
            "Tus-Resumable": VERSION,
            "Tus-Version": VERSION,
            "Tus-Extension": "creation,creation-with-upload,termination,checksum,expiration",
            "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
            **({} if limit is None else {"Tus-Max-Size": str(limit)}),
        }

    def create(self, request: Request, folders: Sequence[str]) -> Response:
        """A new upload to a folder that exists: 201, and its address."""
        _check_version(request)
        length = _number(request, "Upload-Length")
        self._store.check_size(length)
        metadata = request.headers.get("upload-metadata") or ""
        *below, name = _path_of(_metadata(metadata))
        self._store.check_folder(folders, exists=True)
        folders = [*folders, *below]
        self._store.check_folder(folders)
        self._store.check_number()
        partial = self._store.begin()
        try:
            upload = Upload(length, tuple(folders), name, metadata)
            self._store.note(partial.identifier, msgspec.json.encode(upload))
            if request.headers.get("content-type") == CHUNK or not length:
                self._add(request, partial, upload)
            answer = self._answer(request, partial.identifier, upload, partial.size, 201)
            # From the root on: tus-js-client takes what is relative for something beside its own page.
            answer.headers["Location"] = f"{request.root_path}{request.raw_path}{PLACE}/{partial.identifier}"
            return answer
        except BaseException:  # the client does not know its address
            partial.discard()
            raise
        finally:
            partial.close()

    def answer(self, request: Request, identifier: str) -> Response:
        """What is asked of an upload."""
        override = request.headers.get("x-http-method-override") if request.method == "POST" else None
        method = override or request.method
        if method == "OPTIONS":
            return Response(b"", 204, {**self.headers, "Allow": "HEAD, PATCH, DELETE, OPTIONS"})
        if method not in ("HEAD", "PATCH", "DELETE"):
            raise HTTPError(405, f"{method} is nothing for an upload", {"Allow": "HEAD, PATCH, DELETE, OPTIONS"})
        _check_version(request)
        try:
            facts, size, _ = self._store.noted(identifier)
            upload = msgspec.json.decode(facts, type=Upload)
            if upload.saved:
                size = upload.length
            elif size is None:
                raise FileNotFoundError
            if method == "PATCH":
                return self._patch(request, identifier, upload)
            if not upload.saved and (method == "DELETE" or size == upload.length):
                partial = self._store.go_on(identifier)  # nobody else has it
                with closing(partial):
                    if method == "HEAD":  # it was complete when the server ended
                        self._finish(partial, upload)
            if method == "HEAD":
                return self._answer(request, identifier, upload, size, 200)
        except (FileNotFoundError, msgspec.DecodeError):  # the latter after a crash
            raise HTTPError(404, "there is no such upload, or no longer", {"Tus-Resumable": VERSION}) from None
        self._store.forget(identifier)
        return Response(b"", 204, {"Tus-Resumable": VERSION})

    def _patch(self, request: Request, identifier: str, upload: Upload) -> Response:
        if request.headers.get("content-type") != CHUNK:
            raise HTTPError(415, f"PATCH takes {CHUNK}")
        offset = _number(request, "Upload-Offset")
        if upload.saved:
            if offset != upload.length:
                raise HTTPError(409, f"all {upload.length} bytes are there", _offset(upload.length))
            return self._answer(request, identifier, upload, offset, 204)
        with closing(self._store.go_on(identifier)) as partial:
            if offset != partial.size:
                raise HTTPError(409, f"{partial.size} bytes are there", _offset(partial.size))
            self._add(request, partial, upload)
            return self._answer(request, identifier, upload, partial.size, 204)

    def _add(self, request: Request, partial: Partial, upload: Upload) -> None:
        """Adds the body to a partial file, which gets its name when it is complete."""
        checksums = Checksums.of_chunk(request.headers)
        start = partial.size
        length = request.headers.get("content-length")
        if length is not None and int(length) > upload.length - start:
            raise too_large(upload.length)
        try:
            for piece in request.stream():
                if partial.size + len(piece) > upload.length:
                    raise too_large(upload.length)
                checksums.update(piece)
                partial.write(piece)
            checksums.check()
        except BaseException:
            if checksums:  # what came cannot be told from what was sent
                partial.cut(start)
            raise
        if partial.size == upload.length:
            self._finish(partial, upload)

    def _finish(self, partial: Partial, upload: Upload) -> None:
        try:
            saved = self._store.commit(partial, upload.folders, upload.name)
        except HTTPError:  # and never will be: a client that asked would think that all is well
            partial.discard()
            raise
        upload.saved = (*saved.folders, saved.name)
        self._store.note(partial.identifier, msgspec.json.encode(upload))

    def _answer(self, request: Request, identifier: str, upload: Upload, size: int, status: int) -> Response:
        headers = {**_offset(size), "Cache-Control": "no-store"}
        if status == 200:
            headers["Upload-Length"] = str(upload.length)
            if upload.metadata:
                headers["Upload-Metadata"] = upload.metadata
        if upload.saved:
            headers["Content-Location"] = f"{request.root_path}/{quote('/'.join(upload.saved))}"
        else:
            _, _, written = self._store.noted(identifier)
            headers["Upload-Expires"] = format_date(written + self._store.limits.keep)
        return Response(b"", status, headers)


def _offset(size: int) -> dict[str, str]:
    return {"Tus-Resumable": VERSION, "Upload-Offset": str(size)}


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        raise HTTPError(412, f"Tus-Resumable is not {VERSION}", {"Tus-Version": VERSION})


def _number(request: Request, field: str) -> int:
    value = request.headers.get(field.lower())
    if value is None or _NUMBER.fullmatch(value) is None:
        raise HTTPError(400, f"{field} is no number of bytes" if value is not None else f"{field} is missing")
    return int(value)


def _metadata(field: str) -> dict[str, str]:
    """What Upload-Metadata says: keys, each with a value in base64."""
    found = {}
    for member in field.split(","):
        key, _, value = member.strip(" \t").partition(" ")
        if not key:
            continue
        try:
            found[key] = b64decode(value, validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            raise HTTPError(400, f"Upload-Metadata {key[:50]!r} is no base64 of UTF-8") from None
    return found


def _path_of(metadata: dict[str, str]) -> list[str]:
    """The path below its folder that a file asks for, each part made safe: the name alone, or with its own folders.

    Clients call a folder's files "relativePath"; and "name" is what some call a file.
    """
    name = metadata.get("filename") or metadata.get("name") or ""
    path = unicodedata.normalize("NFC", metadata.get("relativePath") or "")
    *below, last = path.split("/") if "/" in path else [name]
    return [*filter(None, map(safe_name, below)), safe_name(last or name) or "upload"]
