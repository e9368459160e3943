"""What a client has sent that does not fit: each thing with its place, what was expected and what came."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from firstbyte.errors import HTTPError, ValidationError
from firstbyte.http.request import Request

SECRET = ("authorization", "cookie", "password", "secret", "token", "api_key", "api-key")
"""Parts of names whose values are not to be shown."""
_LONGEST = 80  # characters of a value that are shown
_BODY = 300  # and of a body in the log
_READABLE = 100_000  # bytes of a body that are looked at for that
_MISSING = re.compile(r"Object missing required field `(.+)`")
_CHOICE = re.compile(r"(Invalid (?:enum )?value) .*", re.DOTALL)
_UNKNOWN = re.compile(r"(Object contains unknown field) `(.*)`", re.DOTALL)
_PAIR = re.compile(  # of a name and its value, in a body that cannot be read
    rf"""("?[\w-]*(?:{"|".join(map(re.escape, SECRET))})[\w-]*"?\s*[:=]\s*)("[^"]*"?|[^\s,;&}}]+)""", re.IGNORECASE
)
_MESSAGE = re.compile(r"(.*?)(?: - at (`key` in )?`\$?([^`]*)`)?", re.DOTALL)
_EXPECTED = re.compile(r"Expected (.+?)(?:, got .*)?|Invalid (.+)")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|\[\.\.\.\]")


class Problem(msgspec.Struct, omit_defaults=True):
    """One thing that does not fit. `where` is like `query.page` or `body.tags[2]`; `came` is JSON, cut short."""

    where: str
    message: str
    expected: str = ""
    came: str = ""


def problem_of(error: msgspec.ValidationError, where: str, given: Any) -> Problem:
    """What msgspec has against `given`, which came at `where`, as a Problem."""
    match = _MESSAGE.fullmatch(str(error))
    assert match is not None  # it matches anything
    message, path = match[1], match[3] or ""
    missing = _MISSING.fullmatch(message)
    if missing is not None:  # nothing came, but for what is around it
        return missing_field(where + path, missing[1])
    # To these two msgspec adds what came, however long and secret it is.
    choice, unknown = _CHOICE.fullmatch(message), _UNKNOWN.fullmatch(message)
    if choice is not None:
        message = choice[1]
    elif unknown is not None:
        message = f"{unknown[1]} {unknown[2][:_LONGEST]}"
    expected = None if choice is not None else _EXPECTED.fullmatch(message)
    came = _at(given, path)
    return Problem(
        where + path,
        ("a key: " if match[2] else "") + message.strip().replace("`", ""),
        (expected[1] or expected[2]).replace("`", "") if expected is not None else "",
        "" if came is _NOWHERE else shown(where + path, came),
    )


def missing_field(where: str, name: str, expected: str = "") -> Problem:
    """That a structure at `where` has no such field."""
    return Problem(f"{where}.{name}", f"Object missing required field {name}", expected)


def shown(name: str, value: Any, longest: int = _LONGEST) -> str:
    """`value` as JSON for a message: cut short, and what has the name of a secret is hidden, in it too."""
    if _is_secret(name):
        return _HIDDEN
    try:
        text = msgspec.json.encode(_without_secrets(value, _DEEPEST)).decode()
    except (TypeError, ValueError, RecursionError):  # what no JSON can say
        text = repr(value)
    return text if len(text) <= longest else text[:longest] + "…"


def told(problems: Sequence[Problem], request: Request) -> str:
    """Problems as a line of the log: with what came, and the body if it is at fault; cut short, secrets hidden."""
    text = ", ".join(f"{each.where}: {each.message}{f' ({each.came})' if each.came else ''}" for each in problems)
    if any(each.where.startswith(_IN_BODY) for each in problems):
        text += f"; the body: {_shown_body(request)}"
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)  # a client writes no lines of its own


_IN_BODY = ("body", "form", "files")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _shown_body(request: Request) -> str:
    media = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    try:
        if media in ("application/x-www-form-urlencoded", "multipart/form-data"):
            form = request.form()
            files = {name: file.filename for name, file in form.files.items()}
            return shown("", {**form.to_dict(), **files}, _BODY)
        if len(request.body) <= _READABLE:
            return shown("", msgspec.json.decode(request.body), _BODY)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, HTTPError):
        pass  # it is shown as it came
    text = _PAIR.sub(rf"\1{_HIDDEN}", request.body[:_READABLE].decode("utf-8", "backslashreplace"))
    return text if len(text) <= _BODY else text[:_BODY] + "…"


_HIDDEN = "(hidden)"
_DEEPEST = 20


def _is_secret(name: str) -> bool:
    lowered = name.lower()
    return any(part in lowered for part in SECRET)


def _without_secrets(value: Any, depth: int) -> Any:
    """`value`, as JSON has it, with what is behind the names of secrets hidden."""
    if depth and isinstance(value, dict):
        return {
            key: _HIDDEN if _is_secret(str(key)) else _without_secrets(each, depth - 1) for key, each in value.items()
        }
    if depth and isinstance(value, list):
        return [_without_secrets(each, depth - 1) for each in value[:_LONGEST]]
    return value if depth else "…"


def refuse(problems: list[Problem], status: int = 422) -> ValidationError:
    """The error that says all of them."""
    first = problems[0]
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return ValidationError(status, f"{first.where}: {first.message}{more}", problems=tuple(problems))


_NOWHERE = object()


def _at(value: Any, path: str) -> Any:
    """What stands at msgspec's `path` within `value`."""
    for name, index in _STEP.findall(path):
        try:
            value = value[name] if name else value[int(index)]
        except (LookupError, TypeError, ValueError):
            return _NOWHERE
    return value
