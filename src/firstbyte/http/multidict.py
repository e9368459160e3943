"""An ordered mapping with several values for one key: what a query or a form is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar, overload

T = TypeVar("T")
D = TypeVar("D")


class MultiDict(Generic[T]):
    """An immutable mapping from str to one or more values, built from pairs and kept in their order.

    `d[key]` is the first value of the key (KeyError names a key that is not there); `get_all` gives every one. `len`
    and iteration count each key once, in the order in which they first came; `items` gives every pair. Two are equal
    when their pairs are, order included.
    """

    __slots__ = ("_pairs", "_values")

    def __init__(self, pairs: Iterable[tuple[str, T]] = ()) -> None:
        self._pairs = list(pairs)
        self._values: dict[str, list[T]] = {}
        for key, value in self._pairs:
            self._values.setdefault(key, []).append(value)

    def __getitem__(self, key: str) -> T:
        return self._values[key][0]

    @overload
    def get(self, key: str) -> T | None: ...
    @overload
    def get(self, key: str, default: D) -> T | D: ...
    def get(self, key: str, default: object = None) -> object:
        """The first value of the key, or `default`."""
        values = self._values.get(key)
        return default if values is None else values[0]

    def get_all(self, key: str) -> list[T]:
        """Every value of the key, in order; empty if it has none."""
        return list(self._values.get(key, ()))

    def keys(self) -> list[str]:
        """Each distinct key, in order of first appearance; with it `dict(d)` holds the first values."""
        return list(self._values)

    def items(self) -> list[tuple[str, T]]:
        """Every pair, in order, repeated keys repeated: unlike a dict's, there can be more of them than `len` says."""
        return list(self._pairs)

    def to_dict(self) -> dict[str, list[T]]:
        """Each key with all its values."""
        return {key: list(values) for key, values in self._values.items()}

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MultiDict):
            return NotImplemented
        return self._pairs == other._pairs

    __hash__ = None  # type: ignore[assignment]  # its values may not be hashable

    def __repr__(self) -> str:
        return f"MultiDict({self._pairs!r})"
