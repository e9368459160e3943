"""Names for files that somebody else has chosen: made safe to create in a folder, and free in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import splitext
from urllib.parse import quote

MAX_NAME = 200  # bytes of a file's name: 255 is what most file systems take, and .part.json must go behind it


def names_from(name: str) -> Iterator[str]:
    """The name, then "name-1", "name-2", ... before its ending: the first that is free does not overwrite anything."""
    yield name
    stem, ending = splitext(name)
    number = 0
    while True:
        number += 1
        yield f"{stem}-{number}{ending}"


def safe_name(name: str) -> str:
    """A name that somebody else gave, as one that is safe to create in a folder, or "" if nothing of it is left.

    What stands before the last slash or backslash is dropped, and so are leading dots, which would hide the file or
    lead out of the folder, and dots and spaces at the end. Characters that file systems refuse, controls, and those
    that turn the direction of text become "_"; Windows' device names get one in front. Of a long name the ending is
    kept.
    """
    name = re.split(r"[/\\]", name)[-1]
    name = _UNSAFE.sub("_", name).strip(" ").lstrip(". ").rstrip(". ")
    if _DEVICE.fullmatch(name.partition(".")[0].rstrip(" ")):
        name = f"_{name}"
    stem, ending = splitext(name)
    if len(ending.encode("utf-8")) > 20:
        stem, ending = name, ""
    room = MAX_NAME - len(ending.encode("utf-8"))
    return stem.encode("utf-8")[:room].decode("utf-8", "ignore").rstrip(" ") + ending


def attachment(name: str) -> str:
    """The Content-Disposition that has a client save an answer under `name`, made safe (RFC 6266 section 4).

    What is not ASCII is said twice, as appendix D advises: clients that do not know `filename*` read the first.
    """
    safe = safe_name(name) or "download"
    plain = re.sub(r"[^ -~]|%", "_", safe)
    said = f'attachment; filename="{plain}"'
    return said if plain == safe else f"{said}; filename*=UTF-8''{quote(safe, safe='')}"


_UNSAFE = re.compile('[<>:"|?*\x00-\x1f\x7f-\x9f\ud800-\udfff\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]')
_DEVICE = re.compile(r"con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]", re.IGNORECASE)
