"""Values from the texts of queries, headers, cookies and forms, which say of themselves what they are in no way.

msgspec converts them; it is strict here where that would take what nobody means: "null" for nothing, "nan" for a number.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from firstbyte.app.problems import Problem, problem_of, refuse

_MANY = (list, set, frozenset, tuple)
_NO_NUMBER = re.compile(r"[+-]?s?(nan|inf)|[_\s]", re.IGNORECASE)  # what float and Decimal read that is none, or odd
_UNFIT = "\0"  # in the place of a text that must not fit: it stands for no value


class Texts:
    """How the texts of one name become a value of `kind`; `many` if that takes several.

    Raises TypeError for a type that no text can be converted to.
    """

    __slots__ = ("_is_number", "kind", "many")

    def __init__(self, kind: Any) -> None:
        self.kind = without_none(kind)
        self.many = is_many(self.kind)
        self._is_number = _consists_of_numbers(msgspec.inspect.type_info(self.kind))

    def read(self, given: Any) -> Any:
        """The value of a text, or of a list of them. Raises msgspec.ValidationError."""
        if self._is_number:
            given = [_number(each) for each in given] if isinstance(given, list) else _number(given)
        return msgspec.convert(given, self.kind, strict=False)


class Fields:
    """How the fields of a structure come from texts by their names, and from files."""

    def __init__(self, kind: Any) -> None:
        hints = _hints(kind)
        structure = without_none(kind)
        self._kind = kind
        self.names = frozenset(
            field.encode_name
            for info in alternatives_of(msgspec.inspect.type_info(structure))
            for field in getattr(info, "fields", ())
        )
        self._texts: dict[str, Texts] = {}
        self._many: set[str] = set()
        for info in alternatives_of(msgspec.inspect.type_info(structure)):
            for field in getattr(info, "fields", ()):
                if any(isinstance(each, _MANY_INFO) for each in alternatives_of(field.type)):
                    self._many.add(field.encode_name)
                if field.name in hints and not _has_other(field.type):
                    self._texts[field.encode_name] = Texts(hints[field.name])

    def read(self, given: Mapping[str, Any], where: str) -> Any:
        """The structure. Raises ValidationError with a problem for every field that does not fit, at `where`."""
