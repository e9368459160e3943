"""Models of pydantic, where it is installed, as what queries, forms and bodies are read into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from firstbyte.app.annotations import alternatives, bare, is_many
from firstbyte.app.problems import Problem, refuse, shown
from firstbyte.app.texts import ByName
from firstbyte.errors import ValidationError


class Models(ByName):
    """Reads a type that is, or consists of, models. Raises TypeError for one that pydantic cannot read."""

    def __init__(self, kind: Any) -> None:
        from pydantic import TypeAdapter  # there it is, since a model is
        from pydantic.errors import PydanticUserError

        try:
            self._adapter: Any = TypeAdapter(kind)
        except PydanticUserError as error:
            raise TypeError(str(error).partition("\n")[0]) from None
        names: set[str] = set()
        many: set[str] = set()
        for each in alternatives(bare(kind)):
            for name, field in getattr(each, "model_fields", {}).items():
                aliases = {each for each in (name, field.alias, field.validation_alias) if isinstance(each, str)}
                names |= aliases
                many |= aliases if is_many(field.annotation) else set()
        super().__init__(names, many)

    def read(self, given: Mapping[str, Any], where: str) -> Any:
        """See `ByName.read`."""
        return self.read_value(given, where)

    def read_value(self, given: Any, where: str) -> Any:
        """What was decoded already. Raises ValidationError."""
        return _validated(self._adapter.validate_python, given, where)

    def read_json(self, body: bytes) -> Any:
        """A body of JSON. Raises ValidationError, with 400 for what is none."""
        if b"NaN" in body or b"Infinity" in body:  # pydantic takes them for numbers, RFC 8259 does not
            try:
                msgspec.json.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise refuse([Problem("body", str(error))], 400) from None
        return _validated(self._adapter.validate_json, body, "body")


def _validated(validate: Callable[[Any], Any], given: Any, where: str) -> Any:
    from pydantic import ValidationError as Refused

    try:
        return validate(given)
    except Refused as error:
        raise _refusal(error, where) from None


def _refusal(error: Any, where: str) -> ValidationError:
    found = error.errors(include_url=False)
    problems = []
    is_broken = any(each["type"] == "json_invalid" for each in found)
    for each in found:
        place = where + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in each["loc"])
        is_there = not is_broken and each["type"] != "missing"  # else it has what is around it
        problems.append(Problem(place, each["msg"], came=shown(place, each["input"]) if is_there else ""))
    return refuse(problems, 400 if is_broken else 422)
