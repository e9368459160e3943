"""What a client has sent that does not fit: each thing with its place, what was expected and what came."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from firstbyte.errors import ValidationError

SECRET = ("authorization", "cookie", "password", "secret", "token", "api_key", "api-key")
"""Parts of names whose values are not to be shown."""
_LONGEST = 80  # characters of a value that are shown
_MESSAGE = re.compile(r"(.*?)(?: - at `\$?(.*)`)?", re.DOTALL)
_EXPECTED = re.compile(r"Expected (.+?)(?:, got .*)?")
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
    message, path = match[1], match[2] or ""
    expected = _EXPECTED.fullmatch(message)
    came = _at(given, path)
    return Problem(
        where + path,
        message.replace("`", ""),
        expected[1].replace("`", "") if expected is not None else "",
        "" if came is _NOWHERE else shown(where + path, came),
    )


def shown(name: str, value: Any) -> str:
    """`value` as JSON for a message: cut short, and hidden where its name says that it is a secret."""
    if any(part in name.lower() for part in SECRET):
        return "(hidden)"
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError):  # what no JSON can say
        text = repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


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
