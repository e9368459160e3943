"""One method of one route as an operation of OpenAPI: what it takes, by its plan, and what it answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, get_args

import msgspec

from firstbyte.app.annotations import bare, without_none
from firstbyte.app.answers import answers
from firstbyte.app.calls import annotations_of
from firstbyte.app.pages import PROBLEM, ProblemDetails
from firstbyte.app.params import BY_CONVERTER, Plan, Source
from firstbyte.app.routing import Parameter, Pattern
from firstbyte.app.rules import requires
from firstbyte.app.schemas import FILE, Schema, Schemas, Wanted
from firstbyte.errors import ConfigurationError
from firstbyte.http.response import JSON
from firstbyte.http.status import phrase
from firstbyte.http.uploads import FormData

if TYPE_CHECKING:
    from firstbyte.app.host_routing import HostPattern
    from firstbyte.app.registration import Route

Function = TypeVar("Function", bound=Callable[..., Any])

_URLENCODED, _MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_FORMS = (_URLENCODED, _MULTIPART)
_MSGPACK = "application/msgpack"
REFUSALS = {
    400: "The request cannot be read: its path, or its body, is not what it says it is.",
    404: "Nothing is at this path.",
    415: "Bodies of this Content-Type are not read here.",
    422: "What was sent does not fit; every problem is listed.",
}
"""How requests are refused before a handler sees them."""
_IGNORED_HEADERS = {"accept", "content-type", "authorization"}  # OpenAPI says these by other means
_CONVERTED: dict[str, Schema] = {
    "int": {"type": "integer", "format": "int64"},
    "float": {"type": "number"},
    "uuid": {"type": "string", "format": "uuid"},
    "str": {"type": "string", "minLength": 1},
    "path": {"type": "string"},
}
"""What the router reads by each converter."""


@dataclass(frozen=True)
class Description:
    """What `describe` says of a handler."""

    tags: tuple[str, ...] = ()
    errors: Mapping[int, str] = field(default_factory=dict)
    deprecated: bool = False
    hidden: bool = False


def describe(
    *,
    tags: Sequence[str] = (),
    errors: Mapping[int, str] | None = None,
    deprecated: bool = False,
    hidden: bool = False,
) -> Callable[[Function], Function]:
    """Decorator, below the route's: adds to a handler's description what no signature says.

    `errors` are the statuses that the handler raises, and what each means: `{409: "The name is taken."}`. A `hidden`
    handler is left out. Raises ConfigurationError for a status that is none of an error.
    """
    for status in errors or {}:
        if not 400 <= status <= 599:
            raise ConfigurationError(
                f"describe(errors=...) takes statuses from 400 to 599, not {status}: return annotations say others"
            )
    description = Description(tuple(tags), dict(errors or {}), deprecated, hidden)

    def decorate(function: Function) -> Function:
        vars(function)[_DESCRIPTION] = description
        return function

    return decorate


def description_of(function: Callable[..., Any]) -> Description:
    """What `describe` said of a handler."""
    found: Description = getattr(function, _DESCRIPTION, _NOTHING_SAID)
    return found


_DESCRIPTION = "__firstbyte_description__"
_NOTHING_SAID = Description()


def path_of(pattern: Pattern) -> str:
    """A route's path with its parameters as OpenAPI writes them."""
    return "/" + "/".join(
        f"{each.prefix}{{{each.name}}}{each.suffix}" if isinstance(each, Parameter) else each
        for each in pattern.segments
    )


def problem_response(text: str, schemas: Schemas) -> dict[str, Any]:
    """The response object of an error."""
    return {"description": text, "content": {PROBLEM: {"schema": schemas.of(ProblemDetails, "serialization")}}}


class _Input(NamedTuple):
    """One value that a request brings: where, under which name ("" for a whole structure), of which type."""

    where: Literal["path", "query", "header", "cookie", "body", "form", "file"]
    name: str
    kind: Any
    required: bool
    default: Any
    converter: str = ""
    """For one of the path that the router reads."""


class Operation:
    """One method of one route. `wanted` are the types whose schemas it needs, `schemes` what it must be asked with."""

    def __init__(self, route: Route, method: str) -> None:
        self.route = route
        self.method = method
        self._inputs = list(_inputs(route.plan, {each.name: each.converter.name for each in route.pattern.parameters}))
        self._rules = [rule for group in route.group.chain for rule in group.rules] + list(route.rules)
        headers: list[str] = [rule.header for rule in self._rules if isinstance(rule, requires)]
        self.schemes = {name: _security_scheme(name) for name in headers}
        self._answers = answers(annotations_of(route.function).get("return", Any))
        self.wanted = [Wanted(each.kind, "validation") for each in self._inputs if each.where != "file"]
        self.wanted += [Wanted(each.kind, "serialization") for each in self._answers if each.media == JSON]

    def described(self, name: str, schemas: Schemas) -> dict[str, Any]:
        """The operation object of that operationId, with the types' schemas from `schemas`."""
        function = self.route.function
        said = description_of(function)
        operation: dict[str, Any] = {"operationId": name}
        group = self.route.group
        tags = said.tags or ((group.name or group.prefix,) if group.name or group.prefix else ())
        if tags:
            operation["tags"] = list(tags)
        if group.host_pattern is not None:
            operation["servers"] = [_server(group.host_pattern)]
        operation |= _texts(function)
        if said.deprecated or hasattr(inspect.unwrap(function), "__deprecated__"):  # warnings.deprecated (PEP 702)
            operation["deprecated"] = True
        parameters = [each for given in self._inputs for each in _parameters(given, schemas)]
        if parameters:
            operation["parameters"] = parameters
        body = self._body(schemas)
        if body is not None:
            operation["requestBody"] = body
        if self.schemes:
            operation["security"] = [{name: [] for name in self.schemes}]
        operation["responses"] = self._responses(schemas, said)
        return operation

    def _body(self, schemas: Schemas) -> dict[str, Any] | None:
        parts = [each for each in self._inputs if each.where in ("form", "file")]
        if parts:
            return _form_body(parts, schemas)
        for given in self._inputs:
            if given.where == "body":
                return _body(given, schemas)
        return None

    def _responses(self, schemas: Schemas, said: Description) -> dict[str, Any]:
        responses: dict[str, Any] = {}
        for answer in self._answers:
            key = "2XX" if answer.status is None else str(answer.status)
            if answer.media == "" and answer.status is None:
                key = "default"  # a Response, which may be anything
            response = responses.setdefault(key, {"description": _phrase(answer.status)})
            if answer.media:
                schema = schemas.of(answer.kind, "serialization") if answer.media == JSON else {}
                content = response.setdefault("content", {})
                media = answer.media.partition(";")[0]
                content[media] = {"schema": _either(content[media]["schema"], schema) if media in content else schema}
        if not responses:
            responses["default"] = {"description": "What it answers is not said."}
        # Not which networks and hosts: whoever may read this may not have to know.
        statuses = [rule.status for rule in self._rules if hasattr(rule, "status")]
        by_rule = {status: f"Refused by a rule: {phrase(status).lower()}." for status in statuses}
        errors = {**by_rule, **said.errors}
        for status in sorted({*self._refusals(), *errors}):
            if status in errors:
                responses.setdefault(str(status), problem_response(errors[status], schemas))
            else:
                responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
        return responses

    def _refusals(self) -> Iterator[int]:
        """The statuses with which a request may be refused before the handler sees it."""
        kinds = {each.where for each in self._inputs}
        read = any(each.where == "body" and bare(each.kind) not in (bytes, str) for each in self._inputs)
        if "path" in kinds:
            yield from (400, 404)
        if kinds & {"form", "file"} or read:
            yield from (400, 415, 422)
        elif kinds & {"query", "header", "cookie"}:
            yield 422


def _inputs(plan: Plan, in_path: dict[str, str]) -> Iterator[_Input]:
    """What a plan reads from a request, and those of the providers that it has, each once."""
    seen: set[tuple[str, str]] = set()
    pending = list(plan.sources)
    while pending:
        source = pending.pop(0)
        if source.provider is not None:
            pending += source.provider.plan.sources
            continue
        given = _input(source, in_path)
        if given is not None and (given.where, given.name) not in seen:
            seen.add((given.where, given.name))
            yield given
    for name, converter in in_path.items():
        if ("path", name) not in seen:  # a handler with ** takes it
            yield _Input("path", name, str, True, None, converter)


def _input(source: Source, in_path: dict[str, str]) -> _Input | None:
    if source.kind == "request" or source.kind == "provider":
        return None
    if source.kind == "path":
        if source.name not in in_path:
            return None  # it is in the host
        converter, kind = in_path[source.name], source.type and without_none(source.type)
        as_read = kind is None or kind is Any or kind == BY_CONVERTER.get(converter)
        return _Input("path", source.name, kind, True, None, converter if as_read else "")
    if source.kind == "header" and source.name.lower() in _IGNORED_HEADERS:
        return None
    kind = without_none(source.type) if source.kind != "body" else source.type
    name = "" if source.kind == "body" else source.name
    return _Input(source.kind, name, kind, source.required, source.default)


def _parameters(given: _Input, schemas: Schemas) -> Iterator[dict[str, Any]]:
    """The parameter objects of one input: one, or one for each field of a structure that is the whole query."""
    if given.where not in ("path", "query", "header", "cookie"):
        return
    schema = _CONVERTED[given.converter] if given.converter else schemas.of(given.kind)
    if given.name:
        yield _parameter(given, given.name, given.required, _with_default(schema, given.default))
        return
    whole = schemas.resolved(schema)
    needed = whole.get("required", ()) if given.required else ()
    for name, each in whole.get("properties", {}).items():
        yield _parameter(given, name, name in needed, _without_null(each))


def _parameter(given: _Input, name: str, required: bool, schema: Schema) -> dict[str, Any]:
    parameter: dict[str, Any] = {"name": name, "in": given.where, "required": required}
    if "description" in schema:
        schema = dict(schema)
        parameter["description"] = schema.pop("description")
    return {**parameter, "schema": schema}


def _body(given: _Input, schemas: Schemas) -> dict[str, Any]:
    """The body that is one value."""
    kind = bare(given.kind)
    if kind is bytes or kind is str:  # as it came, which may be nothing
        return {"content": {"application/octet-stream" if kind is bytes else "text/plain": {"schema": {}}}}
    schema = schemas.of(given.kind)
    content = {
        each: {"schema": _form_schema(schema, schemas) if each in _FORMS else schema}
        for each in _media_types(given.kind, schemas)
    }
    return {"content": content, "required": given.required}


def _form_body(parts: Sequence[_Input], schemas: Schemas) -> dict[str, Any]:
    """The body that consists of these fields and files."""
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for given in parts:
        if given.name:
            schema = _file_schema(given.kind) if given.where == "file" else schemas.of(given.kind)
            properties[given.name] = _with_default(schema, given.default)
            required += [given.name] * given.required
        elif given.kind is not FormData:
            whole = schemas.resolved(schemas.of(given.kind))
            properties |= whole.get("properties", {})
            required += whole.get("required", ()) if given.required else ()
    schema = _form_schema({"type": "object", "properties": properties, "required": required}, schemas)
    has_files = any(_is_file(each) for each in properties.values())
    media_types = [_MULTIPART] if has_files else _FORMS
    return {"content": {each: {"schema": schema} for each in media_types}, "required": bool(required)}


def _security_scheme(header: str) -> dict[str, str]:
    if header.lower() == "authorization":
        return {"type": "http", "scheme": "bearer"}
    return {"type": "apiKey", "in": "header", "name": header}


def _server(host: HostPattern) -> dict[str, Any]:
    """The server of a route that has a host of its own."""
    server: dict[str, Any] = {"url": f"//{host.text}"}
    if host.parameters:
        server["variables"] = {name: {"default": name} for name in host.parameters}
    return server


def _media_types(kind: Any, schemas: Schemas) -> list[str]:
    """The Content-Types that a body of this type may have."""
    properties = schemas.resolved(schemas.of(kind)).get("properties", {}).values()
    if any(_is_file(each) for each in properties):
        return [_MULTIPART]
    is_flat = bool(properties) and all(_is_text(each, schemas) for each in properties)
    return [JSON, *_FORMS * is_flat, _MSGPACK]


def _form_schema(schema: Schema, schemas: Schemas) -> Schema:
    """A structure's schema as a form has it: without null, and without lists of nothing, which it could not tell."""
    whole = schemas.resolved(schema)
    properties = {name: _without_null(each) for name, each in whole.get("properties", {}).items()}
    for name in whole.get("required", ()):
        if properties[name].get("type") == "array":
            properties[name] = {"minItems": 1, **properties[name]}
    return schema if properties == whole.get("properties") else {**whole, "properties": properties}


def _is_text(schema: Schema, schemas: Schemas, inside: bool = False) -> bool:
    """Whether a form can have what a schema says: a value, or several."""
    schema = schemas.resolved(schema)
    if schema.get("type") == "array":
        return not inside and _is_text(schema.get("items", {}), schemas, inside=True)
    return schema.get("type") != "object" and all(_is_text(each, schemas, inside) for each in schema.get("anyOf", ()))


def _is_file(schema: Schema) -> bool:
    alternatives = schema.get("anyOf", [schema])
    return any(FILE.items() <= {**each, **each.get("items", {})}.items() for each in alternatives)


def _file_schema(kind: Any) -> Schema:
    return {"type": "array", "items": dict(FILE)} if get_args(kind) else dict(FILE)


def _without_null(schema: Schema) -> Schema:
    """A field's schema without its null, which neither a query nor a form can say."""
    if "anyOf" not in schema:
        return schema
    kept = [each for each in schema["anyOf"] if each != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf" and (name, value) != ("default", None)}
    return {**rest, **kept[0]} if len(kept) == 1 else {**rest, "anyOf": kept}


def _with_default(schema: Schema, default: Any) -> Schema:
    if default is None:
        return schema
    try:
        return {**schema, "default": msgspec.to_builtins(default, str_keys=True)}
    except TypeError:  # a value of a type that only its own code can write down
        return schema


def _either(first: Schema, second: Schema) -> Schema:
    return {"anyOf": [*first.get("anyOf", [first]), second]}


def _texts(function: Callable[..., Any]) -> dict[str, str]:
    """The first paragraph of the docstring as the summary, the rest as the description."""
    summary, _, rest = (inspect.getdoc(function) or "").partition("\n\n")
    texts = {"summary": " ".join(summary.split()), "description": rest.strip()}
    return {name: text for name, text in texts.items() if text}


def _phrase(status: int | None) -> str:
    return "What it answers." if status is None else phrase(status) or str(status)
