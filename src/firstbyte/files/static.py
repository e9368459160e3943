"""A folder as a site.

The way of a request: its path becomes names (`paths`), the names a file, the file one of its representations
(`representations`), and that an answer by the request's conditions and ranges (`http.representation`). What came of a
whole head is remembered (`known`), and holds as long as the file's stat says that nothing has changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from firstbyte.errors import HTTPError
from firstbyte.files.known import Answer, Known, head_of
from firstbyte.files.paths import Root
from firstbyte.files.policy import CacheRule, Policy
from firstbyte.files.representations import Changed, Found, Representations
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.media import parse_quality_list
from firstbyte.http.representation import respond
from firstbyte.http.request import Request
from firstbyte.http.response import OCTETS, Prepared, Response
from firstbyte.http.send_file import send_file

MEMORY = 32 * 1024 * 1024  # bytes of small files and compressed texts in memory
OPEN_FILES = 64  # large files held open

_ATTEMPTS = 5  # to see a file in one state


class StaticFiles:
    """Serves the files below `folder`: index.html for a folder, a listing where there is none if `listing` says so.

    Hidden files, links that lead out of the folder and every trick to get there are 404, as is what does not exist;
    where the folder has a file `not_found`, people get that. Nothing of the folders `without` is served or listed.
    `hidden` and `follow_links` open what they say. `clean_urls`: /about is about.html, and /about.html redirects there.
    `spa`: a navigation that leads to no file gets the folder's index.html. `cache` are rules as "*.js=1y,immutable", of
    which the first that matches holds; `headers` are sent with every file; `types` are media types by ending,
    `default_type` is that of other endings, `charset` that of text. `compress` compresses text for clients that like
    it, and sends the siblings .br, .zst and .gz of a file to those that can read them; without `siblings` (where others
    write to the folder) they are files like others. `memory` bytes of small files are kept, and `open_files` large ones
    held open. `listing_extra` is HTML that stands behind a listing's heading.
    Raises ConfigurationError if there is no such folder, and for a rule, a header or a type that is none.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        listing: bool = False,
        listing_extra: str = "",
        without: Iterable[str | Path] = (),
        hidden: bool = False,
        follow_links: bool = False,
        clean_urls: bool = False,
        spa: bool = False,
        not_found: str | None = "404.html",
        cache: Iterable[str | CacheRule] = (),
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        types: Mapping[str, str] | None = None,
        default_type: str = OCTETS,
        charset: str = "utf-8",
        compress: bool = True,
        siblings: bool = True,
        memory: int = MEMORY,
        open_files: int = OPEN_FILES,
    ) -> None:
        self.root = Root(folder, without=without, hidden=hidden, follow_links=follow_links)
        self._listing = listing
        self._listing_extra = listing_extra
        self._clean_urls = clean_urls
        self._spa = spa
        self._not_found = not_found
        self._policy = Policy(cache, headers, types, charset, default_type)
        self._representations = Representations(self.root, self._policy, compress, siblings, memory, open_files)
        self._known = Known()
        self._endpoint = Endpoint(self.answer, name=f"files of {folder}", streams_body=True)
        self._other_method = Endpoint(self._answer_method, name="files' methods", streams_body=True)

    def resolve(self, request: Request) -> Endpoint:
        """See `Handler.resolve`."""
        return self._endpoint if request.method in ("GET", "HEAD") else self._other_method

    def answer(self, request: Request) -> Response:
        """The file or folder at the request's path. Raises HTTPError."""
        response = self._known.get(request)
        return self._answer(request, head_of(request)) if response is None else response

    # -- what is at a path

    def _answer(self, request: Request, head: bytes | None) -> Response:
        parts = self.root.parts(request.raw_path, request.path)
        path = self.root.locate(parts)
        asks_folder = not parts or request.path.endswith("/")
        if self._clean_urls and (page := self._clean(request, parts, path, asks_folder)) is not None:
            if isinstance(page, Response):
                return page
            parts, path = page, self.root.locate(page)
        if path is None:
            return self._missing(request)
        if not _is_folder(path):
            return self._missing(request) if asks_folder else self._file(request, parts, path, head)
        if not asks_folder:
            return _redirect(request, _last_name(request) + "/")
        index = self.root.locate([*parts, "index.html"])
        if index is not None and os.path.isfile(index):
            return self._file(request, [*parts, "index.html"], index, head)
        if not self._listing:
            return self._missing(request)
        from firstbyte.files.listing import answer_listing  # here, since zipfile takes long to import

        return answer_listing(request, self.root, parts, path, self._policy, self._listing_extra)

    def _clean(
        self, request: Request, parts: list[str], path: str | None, asks_folder: bool
    ) -> list[str] | Response | None:
        """The page that a path without .html stands for, or a redirect from a path with it."""
        if asks_folder:
            return None
        name = _last_name(request)
        if name.endswith(".html") and path is not None:
            return _redirect(request, "./" if name == "index.html" else "./" + name.removesuffix(".html"))
        if path is not None and (not _is_folder(path) or self.root.locate([*parts, "index.html"]) is not None):
            return None
        page = [*parts[:-1], f"{parts[-1]}.html"]
        return page if self.root.locate(page) is not None else None

    def _missing(self, request: Request) -> Response:
        """The application for one of its own paths, else the site's page for what is not there, else HTTPError 404."""
        if self._spa and _is_navigation(request):
            path = self.root.locate(["index.html"])
            if path is not None:
                response = self._file(request, ["index.html"], path, None)
                response.headers.vary_on("Accept")
                return response
        from firstbyte.app.pages import wants_html  # here, as in `files.pages`: pages of errors take long to import

        path = self.root.locate([self._not_found]) if self._not_found and wants_html(request) else None
        if path is not None:
            return send_file(path, request, media_type=self._policy.media_type(path), status=404)
        raise HTTPError(404, f"nothing is at {request.path}")

    def _file(self, request: Request, parts: list[str], path: str, head: bytes | None) -> Response:
        for _ in range(_ATTEMPTS):
            try:
                found = self._representations.find(request, parts, path)
                what = self._representations.representation(found)
                response = respond(request, what)
            except Changed:
                continue
            if head is not None and request.method == "GET" and found.served.modified <= what.changed:
                self._remember(request, head, found, response)
            return response
        raise HTTPError(503, "the file changes all the time", {"Retry-After": "1"})

    def _remember(self, request: Request, head: bytes, found: Found, response: Response) -> None:
        """Has the next request with this head answered alike, if it is the whole file or a 304."""
        if response.status in (200, 304):
            files = self._representations.open_files if found.body is None else None
            prepared = Prepared(response.status, response.headers)
            self._known.put(head, Answer(request, found.served, found.witnesses, prepared, files))

    def _answer_method(self, request: Request) -> Response:
        allow = {"Allow": "GET, HEAD, OPTIONS"}
        if request.method == "OPTIONS":
            return Response(b"", 204, allow)
        raise HTTPError(405, f"{request.method} is not allowed here: GET and HEAD are", allow)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path)


def _last_name(request: Request) -> str:
    return request.raw_path.rpartition("/")[2]


def _redirect(request: Request, target: str) -> Response:
    """To a path beside the one that was asked for: relative, so that it holds wherever this is mounted or proxied, and
    by the name that was asked for, since a link has another than its folder."""
    target = target.replace(":", "%3A")  # a colon would make what stands before it a scheme
    return Response.redirect(f"{target}?{request.raw_query}" if request.raw_query else target, 308)


def _is_navigation(request: Request) -> bool:
    """Whether a person goes there, as opposed to a page that loads a part of itself."""
    if request.headers.get("sec-fetch-mode", "navigate") != "navigate":
        return False
    accepted = parse_quality_list(request.headers.get_joined("accept") or "")
    return any(value == "text/html" and weight for value, weight in accepted)


_: type[Handler] = StaticFiles
