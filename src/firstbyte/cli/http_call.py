"""The request that a command line means, and its body, without sending it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from firstbyte.cli.http_items import InvalidItem, RequestItems, parse_items, parse_url
from firstbyte.http.headers import TOKEN
from firstbyte.http.url import URL

Kind = Literal["json", "form"]
_NO_BODY = {"GET", "HEAD"}  # methods whose items are taken as a slip of the hand: q=x is rarely meant as a body


@dataclass(frozen=True)
class Call:
    """A request as it is passed to a session.

    `headers` are pairs, None as a value leaves a default of the session out; `body` holds the arguments that a session
    takes for one: `json`, `data`, `files` or `content`.
    """

    method: str
    url: URL
    headers: list[tuple[str, str | None]] = field(default_factory=list)
    body: dict[str, Any] = field(default_factory=dict)


def make_call(
    method: str,
    url: str,
    items: Sequence[str],
    *,
    kind: Kind | None = None,
    raw: str | None = None,
    strict: bool = True,
) -> Call:
    """The request of a command line. Raises InvalidItem for what makes no sense together.

    Data items make a JSON object, a form with `kind` "form", and multipart if there are files. `raw` is the body as it
    is: text, `@file` or `@-` for standard input. With `strict`, GET and HEAD have no body.
    """
    if TOKEN.fullmatch(method) is None:
        raise InvalidItem(f"{method!r} is no method: it is a word such as GET or PURGE")
    parsed = parse_items(items, lambda path: Path(path).expanduser().read_bytes())
    body, content_type = _body(parsed, kind, raw)
    if body and strict and method in _NO_BODY:
        name, value = next(iter([*parsed.form(), *parsed.files]), ("field", "value"))
        raise InvalidItem(
            f"{method} has no body: for a field of the query write {name}=={value}; if a body is meant, "
            f"`firstbyte request {method}` sends it"
        )
    defaults: list[tuple[str, str | None]] = []
    if kind == "json" or "json" in body:
        defaults.append(("Accept", "application/json, */*;q=0.5"))
    if content_type is not None:
        defaults.append(("Content-Type", content_type))
    own = {name.lower() for name, _ in parsed.headers}
    headers = [(name, value) for name, value in defaults if name.lower() not in own] + parsed.headers
    target = parse_url(url)
    return Call(method, target.with_query(parsed.query) if parsed.query else target, headers, body)


def _body(items: RequestItems, kind: Kind | None, raw: str | None) -> tuple[dict[str, Any], str | None]:
    """The body's argument and, where the session cannot know it, its Content-Type."""
    if raw is not None:
        if items.data or items.files:
            raise InvalidItem("--raw is the whole body: it goes with no field=value and no field@file")
        named = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
        if raw == "@-":
            return {"content": sys.stdin.buffer}, named[kind or "json"]
        if raw.startswith("@"):
            return {"content": Path(raw[1:]).expanduser()}, named[kind] if kind else None  # told by the file's name
        return {"content": raw.encode("utf-8", "surrogateescape")}, named[kind or "json"]
    if items.files:
        if kind == "json":
            raise InvalidItem(f"--json cannot carry the file of {items.files[0][0]}@…: leave it out, or send :=@ data")
        return {"data": items.form(), "files": items.files}, None
    if kind == "form":
        return {"data": items.form()} if items.data else {}, None
    return {"json": items.json()} if items.data else {}, None
