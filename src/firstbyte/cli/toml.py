"""TOML files that know on which line each key is, which the parser of the standard library does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from firstbyte.errors import ConfigurationError

KeyPath = tuple[str, ...]


class Document(NamedTuple):
    """A table of a TOML file: the file's name, the values, and the line on which each key is first named."""

    name: str
    values: dict[str, Any]
    lines: dict[KeyPath, int]

    def place(self, *path: str) -> str:
        """ "firstbyte.toml:3" for the key at `path`."""
        return f"{self.name}:{self.lines[path]}"

    def table(self, *path: str) -> Document | None:
        """The table at `path` as a document of its own, or None if there is none."""
        values: Any = self.values
        for key in path:
            values = values.get(key) if isinstance(values, dict) else None
        if not isinstance(values, dict):
            return None
        depth = len(path)
        lines = {each[depth:]: line for each, line in self.lines.items() if each[:depth] == path and each != path}
        return Document(self.name, values, lines)


def read_document(path: Path) -> Document:
    """The whole file. Raises ConfigurationError, with line and column where the text is no TOML."""
    try:
        # TOML counts "\r\n" as a newline and so does tomllib, which is given a text without it.
        text = path.read_bytes().decode().replace("\r\n", "\n")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}:{line}: not UTF-8, as TOML must be: {error.reason}") from None
    try:
        return Document(str(path), tomllib.loads(text), _lines(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(_syntax_error(path, text, str(error))) from None


def _lines(text: str) -> dict[KeyPath, int]:
    """Where each key of a valid text is first named.

    A statement of TOML is as many lines as it takes until they parse by themselves, since none is valid when cut short.
    """
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    statement, start = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        statement += line + "\n"
        try:
            paths = list(_paths(tomllib.loads(statement)))
        except tomllib.TOMLDecodeError:
            continue
        if statement.lstrip().startswith("["):
            table = ()
        for path in paths:
            found.setdefault((*table, *path), start)
        if statement.lstrip().startswith("["):
            table = paths[-1]
        statement, start = "", number + 1
    return found


def _paths(values: dict[str, Any]) -> Iterator[KeyPath]:
    """The path of each key, those of tables before those within."""
    for key, value in values.items():
        yield (key,)
        if isinstance(value, dict):
            for path in _paths(value):
                yield (key, *path)


def _syntax_error(path: Path, text: str, message: str) -> str:
    """tomllib says "what (at line 3, column 5)" or "what (at end of document)"."""
    match = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", message, re.DOTALL)
    if match is not None:
        what, line, column = match.groups()
        return f"{path}:{line}:{column}: not TOML: {what}"
    lines = text.rstrip("\n").split("\n")
    return f"{path}:{len(lines)}:{len(lines[-1]) + 1}: not TOML: {message.removesuffix(' (at end of document)')}"
