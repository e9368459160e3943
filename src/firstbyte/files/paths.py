"""From the path of a request to a file below a folder, and to nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from firstbyte.errors import ConfigurationError, HTTPError

WELL_KNOWN = ".well-known"  # RFC 8615: the one hidden folder that is meant to be asked for

# An escaped separator would be a second address for the same file, and one that proxies read in another way.
_ESCAPED_SEPARATOR = re.compile("%(?:2f|5c)", re.IGNORECASE)
# What Windows finds other files by, or none at all: streams, short names, ends that it drops, devices.
_WINDOWS = re.compile(
    r'.*[<>:"|?*\x00-\x1f].*|.*~[0-9].*|.*[. ]|(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:\..*)?',
    re.IGNORECASE | re.DOTALL,
)


class Root:
    """The folder that is served, and what of it is.

    Not served are what is hidden (a name that begins with a dot, but for .well-known) unless `hidden` says so, links
    that lead out unless `follow_links` says so, and the folders `without`, however a path or a link comes by them.
    `windows` says whether the names are Windows'. Raises ConfigurationError if there is no such folder.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        without: Iterable[str | Path] = (),
        hidden: bool = False,
        follow_links: bool = False,
        windows: bool = os.name == "nt",
    ) -> None:
        self.path = os.path.realpath(folder)
        if not os.path.isdir(self.path):
            raise ConfigurationError(f"there is no folder {folder} to serve")
        self._below = self.path.rstrip(os.sep) + os.sep
        self._without = [_folded(os.path.realpath(each)) for each in without]
        self._hidden = hidden
        self._follow_links = follow_links
        self._windows = windows

    def parts(self, raw_path: str, path: str) -> list[str]:
        """The names that a path has, which is given as it was sent and decoded. Raises HTTPError 404 for a trick."""
        names = path.removeprefix("/").removesuffix("/").split("/")
        if names == [""]:
            names = []
        if (
            "//" in path
            or _ESCAPED_SEPARATOR.search(raw_path)
            or not all(map(self.is_served_name, names, range(len(names))))
        ):
            raise HTTPError(404, f"nothing is at {path}")
        return names

    def is_served_name(self, name: str, depth: int = 1) -> bool:
        """Whether what is so named is served, `depth` folders below the root. A backslash is a separator to others, who
        would also find it in a zip file."""
        if name in ("", ".", "..") or "\\" in name or (self._windows and _WINDOWS.fullmatch(name)):
            return False
        return not name.startswith(".") or self._hidden or (name == WELL_KNOWN and not depth)

    def join(self, parts: Sequence[str]) -> str:
        """Where the names lead, links not followed."""
        return self._below + os.sep.join(parts) if parts else self.path

    def locate(self, parts: Sequence[str]) -> str | None:
        """The path, without links, of the file or folder that the names lead to; None if there is none to be served."""
        try:
            path = os.path.realpath(self.join(parts), strict=True)
        except (OSError, ValueError):  # missing, a name too long, a loop of links
            return None
        return path if self._may_be_served(path) else None

    @property
    def has_exceptions(self) -> bool:
        """Whether there are folders that are not served."""
        return bool(self._without)

    def _may_be_served(self, path: str) -> bool:
        if not (self._follow_links or path == self.path or path.startswith(self._below)):
            return False
        if not self._without:
            return True
        folded = _folded(path)
        return not any(folded == each or folded.startswith(each + os.sep) for each in self._without)


def _folded(path: str) -> str:
    """A path to compare by: some file systems find a name in any case."""
    return path.casefold()
