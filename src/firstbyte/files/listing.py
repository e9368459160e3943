"""A folder's listing: a page for people, which works without scripts too, and JSON for programs."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from firstbyte.errors import HTTPError
from firstbyte.files.archive import archive_response
from firstbyte.files.paths import Root
from firstbyte.files.policy import Policy
from firstbyte.http.media import accepts
from firstbyte.http.request import Request
from firstbyte.http.response import Response

SHOWN = 5000  # rows of a page; the filter finds the others, and JSON has them all
LISTED = 50_000  # entries that are read, which are in memory then: some 20 MiB
PREVIEWED = 4 * 1024 * 1024  # bytes up to which an image is its own preview

_ASSETS = Path(__file__).with_name("assets")
_FIELDS = {"Cache-Control": "no-cache", "Vary": "Accept"}


class Entry(NamedTuple):
    """Something in a folder: `size` in bytes (0 for a folder), `modified` in seconds since the epoch."""

    name: str
    is_folder: bool
    size: int
    modified: float


_ORDERS: dict[str, Callable[[Entry], Any]] = {
    "name": lambda entry: (entry.name.casefold(), entry.name),
    "size": lambda entry: entry.size,
    "time": lambda entry: entry.modified,
}


class View(NamedTuple):
    """How a page is asked for: in which order, and what the names must have in them."""

    sort: str = "name"
    descending: bool = False
    filter: str = ""

    @classmethod
    def of(cls, request: Request) -> View:
        """What the query says; what it says wrong is as if it were not there."""
        query = request.query
        sort = query.get("sort") or "name"
        return cls(sort if sort in _ORDERS else "name", query.get("order") == "desc", query.get("filter") or "")

    def apply(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries that are wanted, in order, folders first."""
        wanted = self.filter.casefold()
        found = [entry for entry in entries if wanted in entry.name.casefold()]
        found.sort(key=_ORDERS["name"])
        found.sort(key=_ORDERS[self.sort], reverse=self.descending)
        found.sort(key=lambda entry: not entry.is_folder)
        return found

    def query(self, sort: str) -> str:
        """The query of the link at the head of a column: its order, or the reverse if it is in force."""
        fields = {"sort": sort, "order": "desc" if sort == self.sort and not self.descending else "asc"}
        if self.filter:
            fields["filter"] = self.filter
        return "?" + urlencode(fields)


def answer_listing(
    request: Request, root: Root, parts: Sequence[str], path: str, policy: Policy, extra: str = ""
) -> Response:
    """The listing of the folder at `path`: a page, JSON for who prefers it, or with the query "zip" all of it.

    Of a folder with more than LISTED entries it has so many, and says so; a filter is then for all that are there.
    `extra` is that of `page`. Raises HTTPError 403 for one that may not be read.
    """
    if "zip" in request.query:
        return archive_response(root, parts, path, policy)
    view = View.of(request)
    entries = read_folder(root, parts, path)
    if len(entries) > LISTED and view.filter:
        entries = read_folder(root, parts, path, view.filter)
    has_more = len(entries) > LISTED
    del entries[LISTED:]
    if accepts(request.headers.get_joined("accept"), ("text/html", "application/json")) == "application/json":
        told = {"path": request.path, "entries": [_as_json(entry) for entry in entries]}
        return Response.json({**told, "truncated": True} if has_more else told, 200, _FIELDS)
    text = page(request.path, entries, view, media_type=policy.media_type, extra=extra, has_more=has_more)
    return Response.html(text, 200, _FIELDS)


def read_folder(root: Root, parts: Sequence[str], path: str, wanted: str = "") -> list[Entry]:
    """What can be asked for in a folder, and has `wanted` in its name, in the order of names: LISTED and one more at
    most, which says that there are others. Raises HTTPError 403."""
    found: list[Entry] = []
    wanted = wanted.casefold()
    try:
        with os.scandir(path) as scanned:
            for each in scanned:
                if len(found) > LISTED:
                    break
                if wanted not in each.name.casefold():
                    continue
                try:
                    each.name.encode()  # what is no UTF-8 has no address here
                    if not root.is_served_name(each.name, len(parts)):
                        continue
                    if (each.is_symlink() or root.has_exceptions) and root.locate([*parts, each.name]) is None:
                        continue  # nor has what leads out, or nowhere
                    facts = each.stat()
                except (UnicodeError, OSError):
                    continue
                is_folder = each.is_dir()
                found.append(Entry(each.name, is_folder, 0 if is_folder else facts.st_size, facts.st_mtime))
    except PermissionError:
        raise HTTPError(403, "the server may not read this folder") from None
    except OSError:
        raise HTTPError(404) from None
    return sorted(found, key=lambda entry: entry.name)


def page(
    url_path: str,
    entries: Sequence[Entry],
    view: View = View(),  # noqa: B008 - it does not change
    *,
    media_type: Callable[[str], str] = lambda name: "",
    extra: str = "",
    has_more: bool = False,
) -> str:
    """The page for the folder at `url_path`, which ends with a slash; `extra` is HTML behind its heading, and `entries`
    are not all there are if it `has_more`."""
    shown = view.apply(entries)
    rows = [_row(entry, media_type(entry.name).partition(";")[0]) for entry in shown[:SHOWN]]
    if url_path != "/":
        rows.insert(0, f'<tr class="up"><td>{_icon("up")}<td><a href="../">..</a><td><td>')
    heads = "".join(
        f'<th class="{name}"{_order_of(name, view)}><a href="{html.escape(view.query(name))}">{label}</a>'
        for name, label in (("name", "Name"), ("size", "Size"), ("time", "Changed"))
    )
    note = ""
    if len(shown) > SHOWN:
        note = f"<p>{len(shown) - SHOWN:,} more are not shown: filter by name.</p>"
    elif not shown:
        note = f"<p>{'Nothing has that in its name.' if view.filter else 'Nothing is here.'}</p>"
    if has_more:
        note += f"<p>More than {LISTED:,} are in this folder: so many of them were looked at. Filter by name.</p>"
    return _PAGE.format(
        title=html.escape(url_path),
        style=_asset("listing.css"),
        script=_asset("listing.js"),
        icons=_asset("icons.svg"),
        crumbs=_crumbs(url_path),
        extra=extra,
        summary=_summary(entries),
        filter=html.escape(view.filter),
        sort=view.sort,
        order="desc" if view.descending else "asc",
        heads=heads,
        rows="\n".join(rows),
        note=note,
    )


def _as_json(entry: Entry) -> dict[str, object]:
    return {
        "name": entry.name,
        "type": "folder" if entry.is_folder else "file",
        "size": None if entry.is_folder else entry.size,
        "modified": _moment(entry.modified).isoformat(timespec="milliseconds"),
    }


def _row(entry: Entry, media_type: str) -> str:
    address = quote(entry.name)
    shown = html.escape(entry.name)
    kind = "folder" if entry.is_folder else _kind(entry.name, media_type)
    if kind == "image" and entry.size <= PREVIEWED:
        icon = f'<img src="./{address}" alt="" loading="lazy" decoding="async">'
    else:
        icon = _icon(kind)
    moment = _moment(entry.modified)
    size = "" if entry.is_folder else f'<span title="{entry.size:,} bytes">{_size(entry.size)}</span>'
    slash = "/" if entry.is_folder else ""
    return (
        f'<tr class="{kind}"><td>{icon}<td><a href="./{address}{slash}">{shown}{slash}</a><td>{size}'
        f'<td><time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">{moment:%Y-%m-%d %H:%M}</time>'
    )


def _kind(name: str, media_type: str) -> str:
    """Which icon a file has."""
    group, _, rest = media_type.partition("/")
    if group in ("image", "video", "audio", "font"):
        return group
    if name.lower().endswith(_ARCHIVES):
        return "archive"
    if name.lower().endswith(_CODE):
        return "code"
    if group == "text" or rest in ("pdf", "rtf", "epub+zip", "msword"):
        return "text"
    return "file"


def _icon(kind: str) -> str:
    return f'<svg aria-hidden="true"><use href="#{kind}"/></svg>'


def _crumbs(url_path: str) -> str:
    """The way from the root to here; the last of it is here."""
    names = [name for name in url_path.split("/") if name]
    *above, here = [_HOME, *names]
    links = [f'<a href="{"../" * (len(above) - at)}">{html.escape(name)}</a>' for at, name in enumerate(above)]
    return "<i>/</i>".join([*links, f"<b>{html.escape(here)}</b>"])


def _summary(entries: Sequence[Entry]) -> str:
    folders = sum(entry.is_folder for entry in entries)
    files = len(entries) - folders
    parts = [f"{folders:,} folder{'s' * (folders != 1)}"] if folders else []
    parts += [f"{files:,} file{'s' * (files != 1)}, {_size(sum(entry.size for entry in entries))}"] if files else []
    return ", ".join(parts)


def _size(size: float) -> str:
    """As people read it, in powers of 1024."""
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if size < 1024 or unit == "TB":
            break
        size /= 1024
    return f"{size:,.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"


def _moment(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # a file system may say anything
        return datetime.fromtimestamp(0, UTC)


def _order_of(name: str, view: View) -> str:
    if name != view.sort:
        return ""
    return f' aria-sort="{"descending" if view.descending else "ascending"}"'


@cache
def _asset(name: str) -> str:
    return (_ASSETS / name).read_text("utf-8")


_HOME = "Files"
_ARCHIVES = (".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".br", ".tar", ".7z", ".rar", ".whl", ".jar", ".deb", ".rpm")
_CODE = tuple(
    f".{ending}"
    for ending in [
        "c",
        "cpp",
        "css",
        "go",
        "h",
        "hpp",
        "htm",
        "html",
        "java",
        "js",
        "json",
        "jsx",
        "lua",
        "mjs",
        "php",
        "pxd",
        "py",
        "pyx",
        "rb",
        "rs",
        "sh",
        "sql",
        "toml",
        "ts",
        "tsx",
        "wasm",
        "xml",
        "yaml",
        "yml",
    ]
)
_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
{icons}
<header>
<h1>{crumbs}</h1>
{extra}
<form role="search">
<input type="hidden" name="sort" value="{sort}"><input type="hidden" name="order" value="{order}">
<input type="search" name="filter" value="{filter}" placeholder="Filter by name" aria-label="Filter by name">
<label title="Show as tiles"><input type="checkbox" id="tiles"> Tiles</label>
<a href="?zip" download>Download all</a>
</form>
</header>
<main>
<table>
<thead><tr><th>{heads}</thead>
<tbody>
{rows}
</tbody>
</table>
{note}
</main>
<footer>{summary}</footer>
<script>{script}</script>
</html>
"""
