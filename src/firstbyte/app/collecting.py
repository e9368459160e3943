"""Every problem of a value that does not fit, where msgspec names the first. Nothing of this runs for one that fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NotRequired, Required, get_args, get_origin, get_type_hints

import msgspec

from firstbyte.app.annotations import MANY, alternatives, bare, choices, named, without_none
from firstbyte.app.problems import Problem, missing_field, problem_of

MOST = 20  # problems that are named
_LOOKS = 1000  # values within a value that are looked at by themselves
_DEEPEST = 5  # levels of it, as of body.lines[2].address.zip: each costs another look at all that is below


def problems_of(error: msgspec.ValidationError, where: str, given: Any, kind: Any) -> list[Problem]:
    """All that is wrong with `given`, of which `error` is the first that a decoder for `kind` met; MOST at most.

    Within a union of several types, and deep within a value, it is the first problem of each part.
    """
    first = problem_of(error, where, given)
    found = list(islice(_Search().problems(kind, given, where, _DEEPEST), MOST))
    return found if any(each.where == first.where for each in found) else [first, *found[: MOST - 1]]


def missing(kind: Any, given: Mapping[str, Any], where: str) -> Iterator[Problem]:
    """A problem for each field that a structure must have and `given` has not."""
    lacking = [field for field in fields_of(kind) if field.required and field.encode_name not in given]
    hints = hints_of(kind) if lacking else {}
    for field in lacking:
        yield missing_field(where, field.encode_name, named(hints[field.name]) if field.name in hints else "")


def fields_of(kind: Any) -> tuple[msgspec.inspect.Field, ...]:
    """The fields of a structure that is told by its names; none of another type."""
    info = msgspec.inspect.type_info(kind)
    if isinstance(info, msgspec.inspect.NamedTupleType) or getattr(info, "array_like", False):
        return ()
    return getattr(info, "fields", ())


def hints_of(kind: Any) -> dict[str, Any]:
    """The annotations of a structure's fields; none if they cannot be evaluated."""
    try:
        hints = get_type_hints(get_origin(kind) or kind, include_extras=True)
    except (TypeError, NameError):
        return {}
    return {name: get_args(hint)[0] if get_origin(hint) in _SAID else hint for name, hint in hints.items()}


class _Search:
    """The looks that are left are those of the whole value."""

    def __init__(self) -> None:
        self._looks = _LOOKS

    def problems(self, kind: Any, given: Any, where: str, deep: int) -> Iterator[Problem]:
        self._looks -= 1
        try:
            msgspec.convert(given, kind, str_keys=True)
            return
        except msgspec.ValidationError as error:
            problem = problem_of(error, where, given)
        if not problem.expected and (possible := choices(kind)):
            problem.expected = f"one of {', '.join(possible)}"
        if problem.expected == "raw":
            return  # it takes whatever came, but only from a decoder
        found = False
        kind = bare(without_none(kind))
        for part, value, place in _parts(kind, given, where) if deep else ():
            if self._looks <= 0:
                break
            for each in self.problems(part, value, place, deep - 1):
                found = True
                yield each
        for each in missing(kind, given, where) if isinstance(given, dict) else ():
            found = True
            yield each
        if not found:
            yield problem


def _parts(kind: Any, given: Any, where: str) -> Iterator[tuple[Any, Any, str]]:
    """What `given` consists of: the type of each part, the part, and where it is."""
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if len(alternatives(kind)) > 1:
        return
    if origin is dict and isinstance(given, dict) and arguments:
        for value in given.values():
            yield arguments[1], value, f"{where}[...]"  # as msgspec has it: keys are the client's
    elif origin in MANY and isinstance(given, list) and arguments:
        is_fixed = origin is tuple and arguments[-1] is not Ellipsis
        kinds = arguments if is_fixed else arguments[:1] * len(given)
        for index, (part, value) in enumerate(zip(kinds, given, strict=False)):
            yield part, value, f"{where}[{index}]"
    elif isinstance(given, dict):
        hints = hints_of(kind)
        for field in fields_of(kind):
            if field.encode_name in given and field.name in hints:
                yield hints[field.name], given[field.encode_name], f"{where}.{field.encode_name}"


_SAID = (Required, NotRequired)
