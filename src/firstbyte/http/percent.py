"""Percent-encoding (RFC 3986 section 2): paths and queries of request targets, decoded once, and forms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote, quote_plus, unquote_to_bytes

from firstbyte.http.multidict import MultiDict

QueryInput: TypeAlias = "Mapping[str, Any] | MultiDict[Any] | Iterable[tuple[str, Any]]"

USERINFO_SAFE = "!$&'()*+,;=-._~"  # unreserved and sub-delims, RFC 3986 section 3.2.1
_PATH_SAFE = USERINFO_SAFE + "/:@"  # pchar and "/", section 3.3
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class InvalidURL(ValueError):
    """A URL, a path or a query that RFC 3986 does not allow; the message says what and where, and shows no password."""


def decode_path(raw: str) -> str:
    """A path, percent-decoded. Raises InvalidURL for a broken escape, what is no UTF-8, and NUL.

    An encoded slash becomes one like any other: where that matters, split the path first.
    """
    return decoded(raw, "path")


def encode_path(path: str) -> str:
    """A path as it is written in a URL, percent-encoded; slashes stay (RFC 3986 section 3.3).

    Raises ValueError for lone surrogates, which have no UTF-8.
    """
    return quote(path, safe=_PATH_SAFE)


def parse_query(raw: str, max_fields: int = 1000) -> MultiDict[str]:
    """The fields of a query or form, in order, repeated and empty ones too (the URL Standard's urlencoded parser).

    "+" is a space, invalid UTF-8 becomes U+FFFD, a broken escape stays as it is. Raises InvalidURL for too many fields.
    """
    if not raw:
        return MultiDict()
    if raw.count("&") >= max_fields:
        raise InvalidURL(f"the query has more than {max_fields} fields")
    pairs = []
    for part in raw.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((_decode_field(name), _decode_field(value)))
    return MultiDict(pairs)


def encode_query(fields: QueryInput) -> str:
    """The query that says these fields: a mapping, or pairs (the URL Standard's urlencoded serializer).

    A list or tuple gives its field once for each item; True and False become true and false, bytes stay bytes, other
    values are written as str. None is left out.
    """
    return "&".join(f"{quote_plus(name, safe='*')}={quote_plus(value, safe='*')}" for name, value in form_pairs(fields))


def form_pairs(fields: QueryInput) -> list[tuple[str | bytes, str | bytes]]:
    """Each field as the name and the one value that are to be encoded, by the rules of `encode_query`."""
    return [
        (_as_field(name), _as_field(item))
        for name, value in (fields.items() if isinstance(fields, Mapping | MultiDict) else fields)
        for item in (value if isinstance(value, list | tuple) else (value,))
        if item is not None
    ]


def encode_escaped(text: str) -> str:
    """A path, query or whole reference with what RFC 3986 does not allow in it percent-encoded; escapes stay."""
    return quote(text, safe=_PATH_SAFE + "?#[]%")  # brackets are not allowed either, but everyone sends a[]=1


def decoded(raw: str, what: str) -> str:
    """`raw`, percent-decoded. Raises InvalidURL that calls it `what`."""
    broken = _BROKEN_ESCAPE.search(raw)
    if broken is not None:
        raise InvalidURL(f"the {what} has a % at {broken.start()} that begins no escape")
    try:
        text = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeError:
        raise InvalidURL(f"the {what} is no UTF-8 when it is percent-decoded") from None
    if "\0" in text:
        raise InvalidURL(f"the {what} has a NUL in it")
    return text


def _decode_field(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")


def _as_field(value: Any) -> str | bytes:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, bytes) else str(value)
