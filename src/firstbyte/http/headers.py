"""Header fields: ordered, case-insensitive, multi-valued (RFC 9110 section 5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

HeadersInput: TypeAlias = "Headers | Mapping[str, str] | Iterable[tuple[str, str]]"

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2

# RFC 9110 section 5.5: visible ASCII, space, tab and obs-text, which travels as Latin-1; no control characters.
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Headers:
    """The header fields of one message, in their order; names compare without case.

    Built from a mapping or from pairs; names and values are str, values without surrounding whitespace, bytes outside
    ASCII as Latin-1. `headers[name]` is the first value (KeyError if there is none), `get_all` every one. Raises
    ValueError for a name that is no token or a value with a control character: such a field could end the head early.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: HeadersInput = ()) -> None:
        self._fields: list[tuple[str, str, str]] = []  # (lower-case name, name as given, value)
        if isinstance(fields, Headers):
            self._fields += fields._fields
            return
        for name, value in fields.items() if isinstance(fields, Mapping) else fields:
            self.add(name, value)

    @classmethod
    def from_block(cls, block: bytes) -> Headers:
        """Headers of a field block that the wire floor has already found valid: lines ended by CRLF."""
        self = cls.__new__(cls)
        fields: list[tuple[str, str, str]] = []
        for line in block.decode("latin-1").split("\r\n"):
            if line:
                name, _, value = line.partition(":")
                fields.append((name.lower(), name, value.strip(" \t")))
        self._fields = fields
        return self

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of the field, or `default`."""
        key = name.lower()
        for field in self._fields:
            if field[0] == key:
                return field[2]
        return default

    def get_all(self, name: str) -> list[str]:
        """Every value of the field, one for each line it came in, in order."""
        key = name.lower()
        return [value for lowered, _, value in self._fields if lowered == key]

    def get_joined(self, name: str) -> str | None:
        """Every line of a list-valued field as one, joined by commas (RFC 9110 section 5.3), or None."""
        values = self.get_all(name)
        return ", ".join(values) if values else None

    def add(self, name: str, value: str) -> None:
        """Appends a field, keeping those of the same name (what Set-Cookie needs)."""
        check_field(name, value)
        self._fields.append((name.lower(), name, value))

    def __setitem__(self, name: str, value: str) -> None:
        """Puts the field in the place of every one of the same name."""
        check_field(name, value)
        key = name.lower()
        fields = [field for field in self._fields if field[0] != key]
        fields.append((key, name, value))
        self._fields = fields

    def __delitem__(self, name: str) -> None:
        """Removes every field of that name; none there is no error."""
        key = name.lower()
        self._fields = [field for field in self._fields if field[0] != key]

    def setdefault(self, name: str, value: str) -> str:
        """The first value of the field, which is set to `value` if there was none."""
        present = self.get(name)
        if present is not None:
            return present
        self.add(name, value)
        return value

    def update(self, fields: HeadersInput) -> None:
        """Sets every field given, in the place of those of the same names."""
        new = Headers(fields)
        names = {lowered for lowered, _, _ in new._fields}
        self._fields = [field for field in self._fields if field[0] not in names] + new._fields

    def vary_on(self, name: str) -> None:
        """Adds `name` to Vary, once (RFC 9110 section 12.5.5)."""
        present = self.get_joined("vary")
        names = [] if present is None else [part.strip() for part in present.split(",")]
        if "*" not in names and name.lower() not in (part.lower() for part in names):
            self["Vary"] = ", ".join([*names, name])

    def items(self) -> list[tuple[str, str]]:
        """Every field as (name, value), in order, repeated names repeated."""
        return [(name, value) for _, name, value in self._fields]

    def fields(self) -> list[tuple[str, str, str]]:
        """Every field as (lower-case name, name, value), in order: for whoever looks at all of them."""
        return list(self._fields)

    def __iter__(self) -> Iterator[str]:
        """Each distinct name, in lower case, in order of first appearance."""
        return iter(dict.fromkeys(field[0] for field in self._fields))

    def keys(self) -> list[str]:
        """Each distinct name, in lower case, in order of first appearance."""
        return list(self)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __len__(self) -> int:
        """The number of fields, repeated names counted each time."""
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        """True for the same names (without case) and values in the same order."""
        if not isinstance(other, Headers):
            return NotImplemented
        return [(f[0], f[2]) for f in self._fields] == [(f[0], f[2]) for f in other._fields]

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __repr__(self) -> str:
        return f"Headers({self.items()!r})"


def check_field(name: str, value: str) -> None:
    """Raises ValueError unless `name: value` is one field line and nothing else (RFC 9110 section 5.5, 5.6.2)."""
    if name not in _tokens:
        if TOKEN.fullmatch(name) is None:
            raise ValueError(f"header name {name!r} is not a token (RFC 9110 section 5.6.2)")
        if len(_tokens) < _REMEMBERED_NAMES and len(name) <= _REMEMBERED_NAME:
            _tokens.add(name)
    if not isinstance(value, str):
        raise TypeError(f"header {name}: the value must be str, not {type(value).__name__}")
    if value.isascii() and value.isprintable():  # as most are: it takes a fifth of the time that a pattern does
        return
    if _VALUE.fullmatch(value) is None:
        raise ValueError(f"header {name}: {value!r} has a control character or one outside Latin-1")


def raw_fields(block: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of a valid block as (lower-case name, value), in bytes. Clients send the same ones again and again."""
    fields = _blocks.get(block)
    if fields is None:
        fields = [(name.lower(), value.rstrip(b" \t")) for name, value in _RAW_FIELD.findall(block)]
        if len(block) <= _REMEMBERED_BLOCK:
            if len(_blocks) >= _REMEMBERED_BLOCKS:
                _blocks.clear()
            _blocks[block] = fields
    return fields.copy()


_tokens: set[str] = set()  # names that were found to be some: a program uses few
_REMEMBERED_NAMES = 1024
_REMEMBERED_NAME = 64  # characters
_RAW_FIELD = re.compile(rb"([^:\r\n]+):[ \t]*([^\r\n]*)\r\n")
_REMEMBERED_BLOCK = 1024  # bytes
_REMEMBERED_BLOCKS = 1024
_blocks: dict[bytes, list[tuple[bytes, bytes]]] = {}
