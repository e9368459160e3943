"""JSON Schema (2020-12, as OpenAPI 3.1 has it) of the types that handlers take and return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from firstbyte.app.annotations import uses_pydantic
from firstbyte.http.uploads import UploadedFile

Schema = dict[str, Any]
FILE: Schema = {"type": "string", "format": "binary"}
_PLACE = "#/components/schemas/"


class Wanted(NamedTuple):
    """A type that needs a schema, as it is read ("validation") or as it is sent: pydantic tells these apart."""

    kind: Any
    mode: Literal["validation", "serialization"]


class Schemas:
    """The schemas of all types of one document, made together, so that each structure is described in one place.

    A type that neither msgspec nor pydantic knows has the empty schema, which anything fits.
    """

    def __init__(self, wanted: Sequence[Wanted]) -> None:
        self._wanted = wanted  # kept, since the types are told apart by identity: not all of them can be hashed
        self.components: dict[str, Schema] = {}
        self._schemas: dict[tuple[int, str], Schema] = {}
        ours = [each for each in wanted if not uses_pydantic(each.kind) and _is_known(each.kind)]
        made, self.components = msgspec.json.schema_components(
            [each.kind for each in ours], schema_hook=_other, ref_template=_PLACE + "{name}"
        )
        _say_types([made, self.components])
        theirs = [each for each in wanted if uses_pydantic(each.kind)]
        for each, schema in zip([*ours, *theirs], [*made, *self._pydantic(theirs)], strict=True):
            self._schemas[id(each.kind), each.mode] = schema

    def of(self, kind: Any, mode: Literal["validation", "serialization"] = "validation") -> Schema:
        """The schema of one of the types that were wanted; a reference, if it is a structure."""
        return self._schemas.get((id(kind), mode), {})

    def resolved(self, schema: Schema) -> Schema:
        """What `schema` refers to, if it is a reference."""
        while "$ref" in schema:
            schema = self.components[schema["$ref"].removeprefix(_PLACE)]
        return schema

    def used_in(self, document: Any) -> dict[str, Schema]:
        """The components that `document` refers to, and those that they do."""
        used: dict[str, Schema] = {}
        pending = [document]
        while pending:
            each = pending.pop()
            if isinstance(each, list):
                pending += each
            elif isinstance(each, dict):
                pending += each.values()
                name = str(each.get("$ref", "")).removeprefix(_PLACE)
                if name in self.components and name not in used:
                    used[name] = self.components[name]
                    pending.append(used[name])
        return dict(sorted(used.items()))

    def _pydantic(self, wanted: Sequence[Wanted]) -> list[Schema]:
        if not wanted:
            return []
        from pydantic import TypeAdapter  # there it is, since a type of its own is

        inputs = [(number, each.mode, TypeAdapter(each.kind)) for number, each in enumerate(wanted)]
        made, definitions = TypeAdapter.json_schemas(inputs, ref_template=_PLACE + "{model}")
        defined = definitions.get("$defs", {})
        if defined.keys() & self.components.keys():  # a structure of the same name, which is another one
            made, _ = TypeAdapter.json_schemas(inputs, ref_template=_PLACE + "pydantic.{model}")
            defined = {f"pydantic.{name}": schema for name, schema in _["$defs"].items()}
        self.components.update(defined)
        return [made[number, each.mode] for number, each in enumerate(wanted)]


def _say_types(node: Any) -> None:
    """Adds the type of the values to every enum within; msgspec leaves it out, and readers then show "any"."""
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ():
        _say_types(each)
    if isinstance(node, dict) and isinstance(node.get("enum"), list) and "type" not in node:
        for name, kind in (("string", str), ("integer", int)):
            if all(type(value) is kind for value in node["enum"]):
                node["type"] = name


def _other(kind: Any) -> Schema:
    return dict(FILE) if kind is UploadedFile else {"title": kind.__name__}  # msgspec wants it not to be empty


def _is_known(kind: Any) -> bool:
    try:
        msgspec.inspect.type_info(kind)
    except (TypeError, NameError):
        return False
    return True
