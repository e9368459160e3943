"""A folder that files can be uploaded to: by its page, with forms, with PUT, and by clients of tus."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from firstbyte.app.pages import wants_html
from firstbyte.errors import ClientDisconnected, HTTPError
from firstbyte.files.after import After
from firstbyte.files.static import StaticFiles
from firstbyte.files.upload_digests import Checksums
from firstbyte.files.upload_guard import check_same_origin
from firstbyte.files.upload_page import upload_fragment, upload_page
from firstbyte.files.upload_store import PARTIALS, Partial, Saved, Store, UploadLimits
from firstbyte.files.upload_tus import Tus, upload_at
from firstbyte.http.around import Around
from firstbyte.http.conditionals import Outcome, evaluate
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.limits import FormLimits
from firstbyte.http.media import media_type_of
from firstbyte.http.percent import decode_path
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.http.send_file import etag_of

_METHODS = "GET, HEAD, OPTIONS, POST, PUT"
_ANY_SIZE = 1 << 62  # of a body: what is too much is said for each file
_ACTIVE = ("text/html", "text/xml", "application/xml")
"""Types of which a browser may run scripts, as of all that end with +xml: the elements of HTML may be in any XML."""


class Uploads(Around):
    """Serves the files below `folder` with `files` (default: `StaticFiles` with its listing), and takes uploads.

    A listing of another handler has the page if it is told to: `StaticFiles(folder, listing=True, siblings=False,
    listing_extra=upload_fragment())`. It must not serve the folder of partial files, which is hidden, nor take what is
    uploaded for another file in a content coding: an a.js.gz would be served in the place of a.js.

    POST to a folder takes the files of a form, under names that are safe and free; PUT takes one file under exactly its
    name; the listing has a page for files and folders, whose uploads can be broken off and resumed, as those of any
    client of tus 1.0. Nothing is overwritten unless `overwrite` says so, and nothing comes into the folders `without`.
    A file appears under its name when it is whole and on the disk. What pages of other sites send is refused.

    Since anybody's files are served here, those in which a browser may run scripts are put in a sandbox (CSP), unless
    they are `trusted`. Raises ConfigurationError if there is no such folder.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        files: Handler | None = None,
        limits: UploadLimits | None = None,
        overwrite: bool = False,
        without: Iterable[str | Path] = (),
        trusted: bool = False,
    ) -> None:
        self._files = files or StaticFiles(folder, listing=True, siblings=False, listing_extra=upload_fragment())
        super().__init__(self._files)
        self._store = Store(folder, limits, overwrite=overwrite, without=without)
        self._tus = Tus(self._store)
        self._trusted = trusted
        self._room = threading.BoundedSemaphore(max(1, self._store.limits.at_once))
        self._shown = After(self._show)
        self._post = self._endpoint(self._answer_post, "upload by POST")
        self._put = self._endpoint(self._answer_put, "upload by PUT")
        self._resume = self._endpoint(self._answer_upload, "upload in parts")
        self._options = self._endpoint(self._answer_options, "uploads' methods")
        self._page = self._endpoint(self._answer_page, "upload page")
        self._never = self._endpoint(_answer_nothing, "partial files")

    def resolve(self, request: Request) -> Endpoint:
        """See `Handler.resolve`."""
        if upload_at(request.raw_path) is not None:
            return self._resume
        method = request.method
        if method == "POST":
            return self._post
        if method == "PUT":
            return self._put
        if method == "OPTIONS":
            return self._options
        if PARTIALS in unquote(request.raw_path).casefold():
            return self._never
        if request.raw_query == "upload" and request.raw_path.endswith("/"):
            return self._page
        return self._shown.around(self._files.resolve(request))

    def _endpoint(self, call: Callable[[Request], Response], name: str) -> Endpoint:
        return Endpoint(call, name=name, streams_body=True, max_body=_ANY_SIZE)

    # -- what is uploaded

    def _answer_post(self, request: Request) -> Response:
        check_same_origin(request)
        if not request.raw_path.endswith("/"):
            raise HTTPError(404, "the address of a folder ends with /: files are posted there")
        folders = _parts(request.raw_path)[:-1]
        with self._place():
            if request.headers.get("tus-resumable") is not None:
                return self._tus.create(request, folders)
            self._store.check_folder(folders, exists=True)
            self._store.check_room(int(request.headers.get("content-length") or 0))
            saved = list(self._save_form(request, folders))
        if not saved:
            raise HTTPError(400, "the form has no file")
        if wants_html(request):
            return Response.redirect("./")
        return Response.json({"saved": [_told(request, each) for each in saved]}, 201)

    def _save_form(self, request: Request, folders: Sequence[str]) -> Iterator[Saved]:
        """The files of a form, when all of it has come."""
        received: list[tuple[Partial, str]] = []
        try:
            for part in request.stream_parts(FormLimits(file_bytes=self._store.limits.file_bytes)):
                if part.filename is None:
                    continue
                partial = self._store.begin()
                received.append((partial, part.filename))
                _receive(partial, part, Checksums.of(part.headers))
            for partial, name in received:
                if name or partial.size:  # else a file input that was left empty
                    yield self._store.commit(partial, folders, name)
        finally:
            for partial, _ in received:
                partial.discard()
                partial.close()

    def _answer_put(self, request: Request) -> Response:
        check_same_origin(request)
        *folders, name = _parts(request.raw_path)
        if not name:
            raise HTTPError(405, "a folder cannot be PUT: name a file in it", {"Allow": "GET, HEAD, OPTIONS, POST"})
        headers = request.headers
        if "content-range" in headers:
            raise HTTPError(400, "a part of a file cannot be PUT (RFC 9110 section 14.5)")
        if headers.get("content-encoding", "identity") != "identity":
            raise HTTPError(415, "a file is uploaded as it is, without Content-Encoding", {"Accept-Encoding": ""})

        def condition(facts: os.stat_result | None) -> None:
            tag, changed = (None, None) if facts is None else (etag_of(facts), facts.st_mtime)
            if evaluate("PUT", headers, tag, changed, exists=facts is not None) is Outcome.FAILED:
                raise HTTPError(412, "what is there is not what the request's condition names")

        with self._place():
            self._store.check_name(folders, name, condition)
            length = headers.get("content-length")
            self._store.check_size(None if length is None else int(length))
            checksums = Checksums.of(headers)
            with closing(self._store.begin()) as partial:
                try:
                    _receive(partial, request.stream(), checksums)
                    saved = self._store.commit(partial, folders, name, exact=True, condition=condition)
                finally:
                    partial.discard()
        told = {"ETag": etag_of(saved.facts), "Location": quote(saved.name)}
        return Response.json(_told(request, saved), 200 if saved.replaced else 201, told)

    def _answer_upload(self, request: Request) -> Response:
        if request.method not in ("HEAD", "OPTIONS"):
            check_same_origin(request)
        identifier = upload_at(request.raw_path)
        assert identifier is not None
        with self._place():
            return self._tus.answer(request, identifier)

    def _answer_page(self, request: Request) -> Response:
        self._store.check_folder(_parts(request.raw_path)[:-1], exists=True)
        return upload_page(request)

    def _answer_options(self, request: Request) -> Response:
        return Response(b"", 204, {**self._tus.headers, "Allow": _METHODS})

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the uploads that are received at one time."""
        if not self._room.acquire(blocking=False):
            raise HTTPError(503, "as many uploads are being received as may be: try again", {"Retry-After": "1"})
        try:
            yield
        except ClientDisconnected as error:  # which is no fault, and will happen: nobody hears this but the log
            raise HTTPError(400, str(error)) from None
        finally:
            self._room.release()

    # -- what is served

    def _show(self, request: Request, response: Response) -> Response:
        """An answer made harmless if it is a file's: those have a tag, a listing has none."""
        if "etag" in response.headers:
            response.headers["X-Content-Type-Options"] = "nosniff"
            media_type = media_type_of(response.headers)
            essence = "" if media_type is None else media_type.essence
            if (essence in _ACTIVE or essence.endswith("+xml")) and not self._trusted:
                response.headers["Content-Security-Policy"] = "sandbox allow-scripts allow-forms allow-popups"
        return response


def _answer_nothing(request: Request) -> Response:
    raise HTTPError(404, f"nothing is at {request.path}")


def _parts(raw_path: str) -> list[str]:
    """The parts of a path, decoded one by one. Raises HTTPError 400."""
    parts = []
    for raw in raw_path.split("/")[1:]:
        try:
            part = decode_path(raw)
        except ValueError as error:
            raise HTTPError(400, str(error)) from None
        if "/" in part:
            raise HTTPError(400, "an encoded slash stands in a name")
        parts.append(part)
    return parts


def _receive(partial: Partial, pieces: Any, checksums: Checksums) -> None:
    for piece in pieces:
        checksums.update(piece)
        partial.write(piece)
    checksums.check()


def _told(request: Request, saved: Saved) -> dict[str, Any]:
    """What an answer says of a file."""
    path = quote("/".join((*saved.folders, saved.name)))
    return {"name": saved.name, "bytes": saved.facts.st_size, "url": f"{request.root_path}/{path}"}


_: type[Handler] = Uploads
