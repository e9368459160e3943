"""The request items of the command line, in httpie's grammar: `title=milk done:=false X-Token:abc q==term file@path`.

An item is a name, a separator and a value. The separator is the first one in it; a backslash before one makes it part
of the name: `a\\=b=c` is the field "a=b" with the value "c".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from firstbyte.http.percent import InvalidURL
from firstbyte.http.url import URL

Read = Callable[[str], bytes]


class InvalidItem(ValueError):
    """A request item or URL that says nothing; the message says what would."""


@dataclass
class RequestItems:
    """What the items of a command line say.

    `headers` are pairs, None as a value leaves a default header out. `data` are the fields of the body, the values of
    `:=` as Python values. `files` are the files of a multipart body.
    """

    headers: list[tuple[str, str | None]] = field(default_factory=list)
    query: list[tuple[str, str]] = field(default_factory=list)
    data: list[tuple[str, Any]] = field(default_factory=list)
    files: list[tuple[str, Path]] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """The data as one JSON object; `a[b]` and `a[]` name members and elements. Raises InvalidItem for a clash."""
        whole: dict[str, Any] = {}
        for name, value in self.data:
            _put(whole, name, value)
        return whole

    def form(self) -> list[tuple[str, str]]:
        """The data as the fields of a form; what is no text is written as JSON."""
        return [
            (name, value if isinstance(value, str) else msgspec.json.encode(value).decode())
            for name, value in self.data
        ]


def parse_items(texts: Iterable[str], read: Read) -> RequestItems:
    """What the items say, in order; `read` gives the content of a file that one names. Raises InvalidItem.

    Errors of `read` (OSError) come through as InvalidItem.
    """
    items = RequestItems()
    for text in texts:
        name, separator, value = split_item(text)
        if separator.endswith("@") and separator != "@":
            value = _text_of(text, value, read)
            separator = separator[:-1]
        match separator:
            case ":":
                items.headers.append((name, value or None))
            case ";":
                if value:
                    raise InvalidItem(f"{text!r}: nothing can follow the semicolon of an empty header; write {name}:…")
                items.headers.append((name, ""))
            case "==":
                items.query.append((name, value))
            case "=":
                items.data.append((name, value))
            case ":=":
                items.data.append((name, _json_of(text, value)))
            case "@":
                items.files.append((name, Path(value).expanduser()))
    return items


def split_item(text: str) -> tuple[str, str, str]:
    """Name, separator and value of an item: of the separators that begin first, the longest. Raises InvalidItem."""
    name = ""
    at = 0
    while at < len(text):
        if text[at] == "\\" and text[at + 1 : at + 2] in _ESCAPED:
            name += text[at + 1]
            at += 2
            continue
        match = _SEPARATOR.match(text, at)
        if match is not None:
            if not name:
                raise InvalidItem(f"{text!r} has no name before {match.group()!r}")
            return name, match.group(), text[match.end() :]
        name += text[at]
        at += 1
    raise InvalidItem(
        f"{text!r} is no request item: write Header:value, query==value, field=value, field:=json or field@file"
    )


def parse_url(text: str, default_scheme: str = "http") -> URL:
    """The URL that a command line means: `:8000/tasks` is on localhost, `host/path` has the default scheme.

    Raises InvalidItem.
    """
    if "://" not in text:
        text = re.sub(r"\A:(?=[/?#]|\Z)", "localhost", text)
        text = f"{default_scheme}://{'localhost' if text.startswith(':') else ''}{text}"
    try:
        return URL.parse(text)
    except InvalidURL as error:
        raise InvalidItem(str(error)) from None


_SEPARATOR = re.compile(r":=@|==@|:=|==|=@|:@|:|=|@|;\Z")
_ESCAPED = (":", "=", "@", ";", "\\")
_PATH = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def _text_of(item: str, path: str, read: Read) -> str:
    """The text of a file, without the line end that editors put behind the last line."""
    try:
        return read(path).decode("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise InvalidItem(f"{item!r}: cannot read {path}: {error.strerror or error}") from None
    except UnicodeError:
        raise InvalidItem(f"{item!r}: {path} is no UTF-8 text") from None


def _json_of(item: str, value: str) -> Any:
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidItem(f"{item!r}: what follows := is no JSON ({error}); for a text write a single =") from None


def _put(whole: dict[str, Any], name: str, value: Any) -> None:
    """Puts a value where `a[b][]` says: members of objects by name, elements at the end of arrays."""
    match = _PATH.fullmatch(name)  # brackets that do not pair are part of a plain name
    steps = [name] if match is None else [match[1], *re.findall(r"\[([^\]]*)\]", match[2])]
    place: Any = whole
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if isinstance(place, list) != (step == "") or not isinstance(place, list | dict):
            raise InvalidItem(f"{name!r} does not fit what the items before it made there")
        empty: Any = [] if following == "" else {}
        if following is None:
            if isinstance(place, list):
                place.append(value)
            else:
                place[step] = value
        elif isinstance(place, list):
            place.append(empty)
            place = empty
        else:
            place = place.setdefault(step, empty)
