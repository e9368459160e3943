"""What fills a handler's parameters: its signature is read once, into a plan.

A parameter that is in the path comes from there, `Request` is the request, an annotation of one value (int, date, an
Enum, a list of such) comes from the query by its name, one of a structure (a dataclass, Struct, TypedDict, attrs or
pydantic class) from the body, an `UploadedFile` from the files of a form. `Annotated[int, Query("p")]`, `Header`,
`Cookie`, `Form`, `File` and `Body` say it otherwise.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args, get_origin

import msgspec

from firstbyte.app.annotations import (
    alternatives,
    bare,
    is_file,
    is_many,
    is_optional,
    is_structure,
    named,
    uses_pydantic,
    without_none,
)
from firstbyte.app.bodies import Reader, body_reader
from firstbyte.app.middleware import place
from firstbyte.app.models import Models
from firstbyte.app.problems import Problem, refuse
from firstbyte.app.routing import BY_ANNOTATION, Pattern
from firstbyte.app.texts import Fields, Texts, has_names
from firstbyte.errors import HTTPError, RouteError, ValidationError
from firstbyte.http.multidict import MultiDict
from firstbyte.http.request import Request
from firstbyte.http.uploads import FormData

if TYPE_CHECKING:
    from firstbyte.app.providers import Provider, Providers, Scope

Get = Callable[[Request], Any]


@dataclass(frozen=True)
class Query:
    """From the query, by `name` or else the parameter's own; with a structure, each of its fields by its name."""

    name: str = ""


@dataclass(frozen=True)
class Header:
    """From a header field, by `name` or else the parameter's own with "-" for "_"; a list has every line's value."""

    name: str = ""


@dataclass(frozen=True)
class Cookie:
    """From a cookie, by `name` or else the parameter's own."""

    name: str = ""


@dataclass(frozen=True)
class Host:
    """From the host, as the pattern of an app around this one reads it (`mount(host="{tenant}.example.org")`), by
    `name` or else the parameter's own; 404 if no pattern has it."""

    name: str = ""


@dataclass(frozen=True)
class Form:
    """From a field of a form, by `name` or else the parameter's own; with a structure, each of its fields by name."""

    name: str = ""


@dataclass(frozen=True)
class File:
    """From the files of a form, by `name` or else the parameter's own; a list has every file of that name."""

    name: str = ""


@dataclass(frozen=True)
class Body:
    """The body, whatever the type; `bytes` and `str` are it as it came."""


BY_CONVERTER: dict[str, Any] = {name: kind for kind, name in BY_ANNOTATION.items()} | {"path": str}
MARKS = (Query, Header, Cookie, Host, Form, File, Body)


class Source(NamedTuple):
    """Where one parameter comes from. `get` raises ValidationError; `kind` and `name` are for people and OpenAPI."""

    parameter: str
    kind: Literal["path", "query", "header", "cookie", "body", "form", "file", "request", "provider"]
    name: str
    type: Any
    required: bool
    default: Any
    get: Get
    provider: Provider | None = None


class Plan:
    """How a handler is called: each parameter's source, in the order of the signature.

    `takes_all` says whether it has ** for what the path gives and no parameter takes. `provided` are the parameters
    that come from providers, `reads_body` the names of those that are the body, or from it.
    """

    def __init__(self, sources: tuple[Source, ...], takes_all: bool) -> None:
        self.sources = sources
        self.takes_all = takes_all
        self.provided = [(each.parameter, each.provider) for each in sources if each.provider is not None]
        self.reads_body = [each.parameter for each in sources if each.kind in ("body", "form", "file")]
        self._given = [each.parameter for each in sources if each.get is _given]
        self._read = [
            (each.parameter, each.get) for each in sources if each.provider is None and each.get is not _given
        ]

    @property
    def is_simple(self) -> bool:
        """Whether there is nothing but the request and what the router gives."""
        return all(source.kind == "request" or source.get is _given for source in self.sources)

    @property
    def awaits(self) -> bool:
        """Whether one of them does, so that only a coroutine can fill the plan."""
        return any(provider.awaits for _, provider in self.provided)

    def fill(self, request: Request, scope: Scope) -> dict[str, Any]:
        """The arguments: what the request says first, then what is provided.

        Raises ValidationError with every problem there is, HTTPError 404 for an unfit path, and what a provider raises.
        """
        arguments = self.values(request)
        for name, provider in self.provided:
            arguments[name] = scope.provide(provider, request)
        return arguments

    async def afill(self, request: Request, scope: Scope) -> dict[str, Any]:
        """`fill` for coroutines."""
        arguments = self.values(request)
        for name, provider in self.provided:
            arguments[name] = await scope.aprovide(provider, request)
        return arguments

    def values(self, request: Request) -> dict[str, Any]:
        """The arguments that the request says. Raises ValidationError and HTTPError as `fill` does."""
        filled = {}
        try:
            for name, get in self._read:  # a comprehension would be a call
                filled[name] = get(request)
            for name in self._given:
                filled[name] = request.path_params[name]
            return {**request.path_params, **filled} if self.takes_all else filled
        except ValidationError as error:
            if len(self._read) == 1 or error.status != 422:
                raise
        problems: list[Problem] = []
        for _, get in self._read:
            try:
                get(request)
            except ValidationError as error:
                if error.status != 422:
                    raise
                problems += error.problems
        raise refuse(problems)


def make_plan(
    function: Callable[..., Any],
    hints: dict[str, Any],
    pattern: Pattern | None = None,
    methods: Sequence[str] = (),
    providers: Providers = types.MappingProxyType({}),
) -> Plan:
    """The plan for a function, of a route if it has a `pattern`.

    Raises RouteError for a parameter that nothing provides or that could be two things.
    """
    in_path = {} if pattern is None else pattern.converters
    sources: list[Source] = []
    takes_all = False
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            takes_all = True
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            continue
        source = _source(function, parameter, hints.get(name), in_path, providers)
        if source is None:
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            what = "the request" if source.kind == "request" else f"the {source.kind} parameter {name}"
            raise RouteError(f"{place(function)}: {what} cannot be positional-only")
        sources.append(source)
    _check_body(function, sources, methods)
    missing = set(in_path).difference(source.parameter for source in sources)
    if missing and not takes_all:
        raise RouteError(f"{place(function)} does not take {', '.join(sorted(missing))}, which the path has")
    return Plan(tuple(sources), takes_all)


def _check_body(function: Callable[..., Any], sources: list[Source], methods: Sequence[str]) -> None:
    """Raises RouteError where the body would be two things, or there is none."""
    bodies = [source.parameter for source in sources if source.kind == "body"]
    parts = [source.parameter for source in sources if source.kind in ("form", "file")]
    if len(bodies) > 1:
        raise RouteError(
            f"{place(function)}: {' and '.join(bodies)} would both be the body: put them into one structure, or say "
            "Annotated[..., Query()] where the query is meant"
        )
    if bodies and parts:
        raise RouteError(
            f"{place(function)}: {bodies[0]} would be the body, which {' and '.join(parts)} would be in as well: put "
            f"them into one structure, or say Annotated[..., Form()] where {bodies[0]} has fields of the form"
        )
    if (bodies or parts) and methods and set(methods) <= {"GET", "HEAD"}:
        raise RouteError(
            f"{place(function)}: {(bodies + parts)[0]} would be {'in ' if parts else ''}the body, which a {methods[0]} "
            "has none of: say Annotated[..., Query()] for the query"
        )


def _source(
    function: Callable[..., Any], parameter: inspect.Parameter, hint: Any, in_path: dict[str, str], providers: Providers
) -> Source | None:
    """The source of one parameter; None for one that keeps its default."""
    name = parameter.name
    required = parameter.default is parameter.empty
    default = None if required else parameter.default
    if isinstance(hint, str):
        raise RouteError(
            f"{place(function)}: the annotation {hint!r} of {name} cannot be evaluated: import or define what it names "
            "above the function, and outside of others"
        )
    kind, mark = _checked(function, name, lambda: _unmarked(hint))
    if name in in_path:
        if mark is not None:
            raise RouteError(f"{place(function)}: {name} is in the path and cannot be {mark} as well")
        return Source(name, "path", name, kind, True, None, _from_path(function, name, kind, in_path[name]))
    if kind is Request or (hint is None and name == "request"):
        return Source(name, "request", name, Request, True, None, _itself)
    if hint is None:
        if not required:
            return None  # a name bound by its default, as in a loop of lambdas
        raise RouteError(
            f"{place(function)}: nothing provides its parameter {name!r}; the path has "
            f"{', '.join(sorted(in_path)) or 'no parameters'}, the request comes as `request: Request`, what has an "
            "annotation from a provider, the query or the body"
        )
    if mark is None and isinstance(kind, Hashable) and kind in providers:
        return Source(name, "provider", name, kind, True, None, _itself, providers[kind])
    if isinstance(mark, Host) and is_many(kind):
        raise RouteError(f"{place(function)}: {name} would be {named(kind)} from the host, which has one of that name")
    if isinstance(mark, Header | Cookie | Host) and is_structure(kind):
        raise RouteError(
            f"{place(function)}: {name} would be the structure {named(kind)} from one {mark.__class__.__name__.lower()}"
            ", which is text: name a type of one value, or list[...] of such"
        )
    if isinstance(mark, Header):
        field = mark.name or name.replace("_", "-")
        return _value(function, parameter, kind, "header", field, lambda request: request.headers)
    if isinstance(mark, Cookie):
        return _value(function, parameter, kind, "cookie", mark.name or name, _cookies)
    if isinstance(mark, Host):
        field = mark.name or name
        return Source(name, "path", field, kind, required, default, _from_host(function, parameter, kind, field))
    if kind is FormData:
        return Source(name, "form", "", kind, True, None, Request.form)
    if isinstance(mark, File) or (mark is None and is_file(kind)):
        return _file(function, parameter, kind, (mark and mark.name) or name)
    if isinstance(mark, Body) and is_file(kind):
        raise RouteError(f"{place(function)}: {name} is a file of a form, and cannot be the body")
    if isinstance(mark, Body) or (mark is None and is_structure(kind)):
        reader = _checked(function, name, lambda: body_reader(kind))
        return Source(name, "body", name, kind, required, default, _from_body(reader, required, default))
    where: Literal["form", "query"] = "form" if isinstance(mark, Form) else "query"
    if is_structure(kind):
        get = _checked(function, name, lambda: _from_whole(bare(kind), required, default, where))
        return Source(name, where, "", kind, required, default, get)
    if isinstance(mark, Form):
        return _value(function, parameter, kind, "form", mark.name or name, Request.form)
    assert mark is None or isinstance(mark, Query)
    return _value(function, parameter, kind, "query", (mark and mark.name) or name, lambda request: request.query)


def _value(
    function: Callable[..., Any],
    parameter: inspect.Parameter,
    kind: Any,
    where: Literal["query", "header", "cookie", "form"],
    field: str,
    values: Callable[[Request], Any],
) -> Source:
    """A source of text that is converted: one value, or all of that name for a list."""
    required = parameter.default is parameter.empty
    default = None if required else parameter.default
    texts: Texts = _checked(function, parameter.name, lambda: Texts(kind))
    many = texts.many
    place_of = f"{where}.{field}"

    def get(request: Request) -> Any:
        given = values(request).get_all(field) if many else values(request).get(field)
        if given is None or given == []:
            if required and not (many and is_optional(kind)):
                raise refuse([Problem(place_of, f"the {where} must have {field}", named(kind))])
            return default
        return texts.read(given, place_of)

    return Source(parameter.name, where, field, kind, required, default, get)


def _file(function: Callable[..., Any], parameter: inspect.Parameter, kind: Any, field: str) -> Source:
    """A source of a file, or of all that have that name for a list."""
    if not is_file(kind):
        raise RouteError(
            f"{place(function)}: {parameter.name} is from File(): it can be UploadedFile or a list of them"
        )
    required = parameter.default is parameter.empty
    default = None if required else parameter.default
    many = is_many(kind)
    is_needed = required and type(None) not in alternatives(bare(kind))

    def get(request: Request) -> Any:
        form = request.form()
        given = form.files.get_all(field) if many else form.files.get(field)
        if given:
            return msgspec.convert(given, kind)
        if field in form and not given:
            raise refuse([Problem(f"files.{field}", f"{field} came as text, which is no file", "file")])
        if is_needed:
            raise refuse([Problem(f"files.{field}", f"the form must have the file {field}", "file")])
        return default

    return Source(parameter.name, "file", field, kind, is_needed, default, get)


def _from_path(function: Callable[..., Any], name: str, kind: Any, converter: str) -> Get:
    """A path parameter; what the router does not read or check is converted, and is a 404 where it cannot be.

    Raises RouteError for a type that no segment of a path can be, or that is not what the path says.
    """
    wanted = kind and without_none(kind)
    if wanted is None or wanted is Any or BY_CONVERTER.get(converter) == wanted:
        return _given
    if is_structure(kind) or is_many(kind):
        raise RouteError(f"{place(function)}: {name} is in the path, and no part of it is a {named(kind)}")
    if converter != "str":
        if BY_CONVERTER[converter] != bare(wanted):
            raise RouteError(f"{place(function)}: {name} is {converter} in the path, and {named(kind)} here")
        convert: Callable[[Any, str], Any] = lambda value, where: msgspec.convert(value, wanted)  # noqa: E731
    else:
        convert = _checked(function, name, lambda: Texts(wanted)).read

    def get(request: Request) -> Any:
        try:
            return convert(request.path_params[name], name)
        except (msgspec.ValidationError, ValidationError):
            raise HTTPError(404, f"nothing is at {request.path}") from None

    return get


def _from_host(function: Callable[..., Any], parameter: inspect.Parameter, kind: Any, field: str) -> Get:
    """Reads a parameter of the host; what does not fit is where nothing is (404)."""
    texts: Texts = _checked(function, parameter.name, lambda: Texts(kind))

    def get(request: Request) -> Any:
        if field not in request.host_params and parameter.default is not parameter.empty:
            return parameter.default
        try:
            return texts.read(request.host_params[field], f"host.{field}")
        except (KeyError, ValidationError):
            raise HTTPError(404, f"nothing is at {request.path} of this host") from None

    return get


def _from_body(reader: Reader, required: bool, default: Any) -> Get:
    if required:
        return reader

    def get(request: Request) -> Any:
        return reader(request) if request.body_file.read(1) else default

    return get


def _from_whole(kind: Any, required: bool, default: Any, where: Literal["query", "form"]) -> Get:
    """A structure, or one or None, with the fields of the query or a form. Raises TypeError for another type."""
    structure = without_none(kind)
    if len(alternatives(structure)) > 1 or not (hasattr(structure, "model_fields") or has_names(structure)):
        raise TypeError(f"the whole {where} is one structure with fields")
    fields = Models(structure) if uses_pydantic(structure) else Fields(structure)

    def get(request: Request) -> Any:
        whole = fields.of(request.query) if where == "query" else fields.of_form(request.form())
        return fields.read(whole, where) if whole or required else default

    return get


def _cookies(request: Request) -> MultiDict[str]:
    return MultiDict(request.cookies.items())


def _itself(request: Request) -> Request:
    return request


def _given(request: Request) -> Any:
    """Stands for what the router has read already: `Plan.fill` takes it from there."""
    raise AssertionError


def _unmarked(hint: Any) -> tuple[Any, Any]:
    """A type without our mark, and the mark."""
    if get_origin(hint) is not Annotated:
        return hint, None
    kind, *extras = get_args(hint)
    marks = [extra() if extra in MARKS else extra for extra in extras if isinstance(extra, MARKS) or extra in MARKS]
    rest = [extra for extra in extras if not isinstance(extra, MARKS) and extra not in MARKS]
    for extra in rest:
        kind = Annotated[kind, extra]
    if len(marks) > 1:
        raise TypeError(f"it is marked {' and '.join(map(repr, marks))}, of which only one can be")
    return kind, marks[0] if marks else None


def _checked(function: Callable[..., Any], name: str, read: Callable[[], Any]) -> Any:
    """What `read` makes of an annotation; RouteError if it is none that can be read."""
    try:
        return read()
    except (TypeError, NameError) as error:
        message = (
            f"{place(function)}: the annotation of {name} cannot be read from a request, and no provider added before "
            f"gives it: {error}"
        )
        raise RouteError(message) from None
