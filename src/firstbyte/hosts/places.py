"""Which requests to a foreign application are likely to cost the same: those of one method and one beginning of a path.

A hosted application does its own routing, so nobody can say what function will answer. One slow page must not make the
fast ones slow, and one address for each of a million items must not fill the memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_PLACES = 1024  # places that are known, and paths whose place is
_LONGEST = 256  # characters of a path that is remembered

# Up to four segments, each a word: "/users/42/photos" has the place "/users", as every user's page does.
_WORDS = re.compile(r"(?:/(?:[^/0-9%][^/%]{0,23})?(?![^/])){0,4}")


class Places(Generic[T]):
    """A thing that `make` makes for each method and beginning of a path; bounded, so one may be made anew."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._by_path: dict[tuple[str, str], T] = {}
        self._by_prefix: dict[tuple[str, str], T] = {}

    def find(self, method: str, path: str) -> T:
        """What belongs to requests of this method to this raw path, and to those like it."""
        found = self._by_path.get((method, path))
        if found is None:
            match = _WORDS.match(path)
            prefix = (method, match[0] if match is not None else "")
            found = self._by_prefix.get(prefix)
            if found is None:
                if len(self._by_prefix) >= _PLACES:
                    self._by_prefix.clear()
                found = self._by_prefix[prefix] = self._make()
            if len(path) <= _LONGEST:
                if len(self._by_path) >= _PLACES:
                    self._by_path.clear()
                self._by_path[method, path] = found
        return found
