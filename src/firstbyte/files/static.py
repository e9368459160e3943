"""A folder as a site."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from firstbyte.errors import ConfigurationError, HTTPError
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.http.send_file import send_file


class StaticFiles:
    """Serves the files below `folder`: index.html for a folder, a listing where there is none if `listing` says so.

    Hidden files, links that lead out of the folder and every trick to get there are 404, as is what does not exist.
    Nothing of the folders `without` is served or listed either, however a path or a link comes by it.
    Raises ConfigurationError if there is no such folder.
    """

    def __init__(self, folder: str | Path, *, listing: bool = False, without: Iterable[str | Path] = ()) -> None:
        self._root = Path(folder).resolve()
        if not self._root.is_dir():
            raise ConfigurationError(f"there is no folder {folder} to serve")
        self._listing = listing
        self._without = [_folded(Path(each).resolve()) for each in without]
        self._endpoint = Endpoint(self.answer, name=f"files of {folder}", streams_body=True)
        self._other_method = Endpoint(self._answer_method, name="files' methods", streams_body=True)

    def resolve(self, request: Request) -> Endpoint:
        """See `Handler.resolve`."""
        return self._endpoint if request.method in ("GET", "HEAD") else self._other_method

    def answer(self, request: Request) -> Response:
        """The file or folder at the request's path. Raises HTTPError."""
        path = self._locate(request.path)
        if not path.is_dir():
            if request.path.endswith("/"):
                raise HTTPError(404, f"nothing is at {request.path}")
            return send_file(path, request)
        if not request.path.endswith("/"):
            # Relative, so that it holds wherever this is mounted or proxied; by the name that was asked for, since a
            # link has another than its folder; and without a colon, which would make what stands before it a scheme.
            target = request.raw_path.rpartition("/")[2].replace(":", "%3A") + "/"
            return Response.redirect(f"{target}?{request.raw_query}" if request.raw_query else target, 308)
        # Path.is_file raises where the folder cannot be searched.
        if os.path.isfile(path / "index.html"):  # noqa: PTH113
            return send_file(self._locate(request.path + "index.html"), request)
        if not self._listing:
            raise HTTPError(404, f"nothing is at {request.path}")
        return Response.html(_page(request.path, self._entries(path, request.path)))

    def _locate(self, url_path: str) -> Path:
        """The existing file or folder that a decoded path names. Raises HTTPError 404."""
        parts = url_path.strip("/").split("/")
        # An empty part would be a second address for the same file.
        if "\\" in url_path or "//" in url_path or any(part.startswith(".") for part in parts):
            raise HTTPError(404, f"nothing is at {url_path}")
        try:
            path = self._root.joinpath(*parts).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):  # missing, a name too long, a loop of links
            raise HTTPError(404, f"nothing is at {url_path}") from None
        if not path.is_relative_to(self._root) or any(_folded(path).is_relative_to(each) for each in self._without):
            raise HTTPError(404, f"nothing is at {url_path}")
        return path

    def _entries(self, folder: Path, url_path: str) -> list[tuple[bool, str]]:
        """What can be asked for in a folder: whether it is a folder too, and its name; folders first."""
        found = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    try:
                        entry.name.encode()  # what is no UTF-8 has no address here
                        if entry.is_symlink() or self._without:
                            self._locate(url_path + entry.name)  # nor has what leads out, or nowhere
                        if not entry.name.startswith("."):
                            found.append((entry.is_dir(), entry.name))
                    except (UnicodeError, HTTPError):
                        continue
        except PermissionError:
            raise HTTPError(403, "the server may not read this folder") from None
        return sorted(found, key=lambda entry: (not entry[0], entry[1].lower()))

    def _answer_method(self, request: Request) -> Response:
        allow = {"Allow": "GET, HEAD, OPTIONS"}
        if request.method == "OPTIONS":
            return Response(b"", 204, allow)
        raise HTTPError(405, f"{request.method} is not allowed here: GET and HEAD are", allow)


def _folded(path: Path) -> Path:
    """A path to compare by: some file systems find a name in any case."""
    return Path(str(path).casefold())


def _page(url_path: str, entries: list[tuple[bool, str]]) -> str:
    """A plain page that links to what is in a folder."""
    rows = ["<li><a href='../'>../</a>"] if url_path != "/" else []
    for is_folder, name in entries:
        shown = name + "/" if is_folder else name
        rows.append(f'<li><a href="./{quote(shown)}">{html.escape(shown)}</a>')
    title = html.escape(url_path)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>:root{{color-scheme:light dark}}body{{font:1rem/1.7 system-ui,sans-serif;"
        f"max-width:50rem;margin:3rem auto;padding:0 1rem}}ul{{list-style:none;padding:0}}</style>"
        f"<h1>{title}</h1><ul>{''.join(rows)}</ul></html>\n"
    )


_: type[Handler] = StaticFiles
