"""From a path to a route: a dict for the static ones, a tree of segments for those with parameters.

Both take time in proportion to the path, whatever the number of routes: a static path is one look-up, and in the tree
each segment is one step. A segment is matched by the most definite edge first: literal text, then a typed parameter,
then any text, then the rest of the path; if what follows does not fit, the next edge is tried.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from firstbyte.errors import RouteError
from firstbyte.http.percent import decode_path, encode_path

T = TypeVar("T")


class Converter(NamedTuple):
    """How a parameter is read from a path and written into one."""

    name: str
    read: Callable[[str], Any]
    """From the decoded text; raises ValueError for text that is no such value: the route then does not match."""
    write: Callable[[Any], str]
    rank: int
    """Which parameter is tried first where several could match: the lowest."""


def _read_int(text: str) -> int:
    # int() alone takes "1_000", " 1" and digits of other scripts: two addresses for one thing.
    digits = text.removeprefix("-")
    if not digits.isdigit() or not digits.isascii() or len(digits) > 18:
        raise ValueError(text)
    return int(text)


def _read_float(text: str) -> float:
    if _FLOAT.fullmatch(text) is None:
        raise ValueError(text)
    return float(text)


def _read_uuid(text: str) -> uuid.UUID:
    value = uuid.UUID(text)
    if str(value) != text.lower():
        raise ValueError(text)
    return value


def _read_str(text: str) -> str:
    if not text:
        raise ValueError("empty")
    return text


_FLOAT = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")

CONVERTERS = {
    converter.name: converter
    for converter in (
        Converter("int", _read_int, str, 0),
        Converter("float", _read_float, repr, 1),
        Converter("uuid", _read_uuid, str, 0),
        Converter("str", _read_str, str, 2),
        Converter("path", str, str, 3),
    )
}
BY_ANNOTATION: dict[Any, str] = {int: "int", float: "float", uuid.UUID: "uuid", str: "str"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """`{name:converter}` in a pattern, with the literal text around it in its segment."""

    name: str
    converter: Converter
    prefix: str = ""
    suffix: str = ""

    @property
    def edge(self) -> tuple[int, str, str, str]:
        """What makes two parameters the same step in the tree; sorts the more definite one first."""
        return (self.converter.rank, self.converter.name, self.prefix, self.suffix)

    @property
    def order(self) -> tuple[int, int]:
        """Sorts the more definite parameter first."""
        return (self.converter.rank, -len(self.prefix) - len(self.suffix))


class Pattern:
    """A route's path: literal segments and parameters, as in "/tasks/{id:int}/files/{rest:path}".

    A parameter without a converter takes that of its annotation in `annotations`, else str: one segment, not empty.
    `path` takes the rest, slashes too, and may be empty; it must come last. `given` are the names of parameters that
    come from elsewhere, such as the host. Raises RouteError.
    """

    def __init__(self, text: str, annotations: dict[str, Any] | None = None, given: Sequence[str] = ()) -> None:
        if not text.startswith("/"):
            raise RouteError(f"the path {text!r} must begin with /")
        self.text = text
        self.given = tuple(given)
        self.segments: list[str | Parameter] = []
        names: set[str] = set(given)
        segments = text[1:].split("/")
        for index, segment in enumerate(segments):
            parameter = self._segment(segment, annotations or {})
            if isinstance(parameter, Parameter):
                if parameter.name in names:
                    raise RouteError(f"the path {text!r} names the parameter {parameter.name} twice")
                names.add(parameter.name)
                if parameter.converter.name == "path" and (index + 1 < len(segments) or parameter.suffix):
                    raise RouteError(f"the path {text!r} goes on after {{{parameter.name}:path}}, which takes the rest")
            self.segments.append(parameter)

    @property
    def parameters(self) -> list[Parameter]:
        """Its parameters, in order."""
        return [segment for segment in self.segments if isinstance(segment, Parameter)]

    @property
    def converters(self) -> dict[str, str]:
        """The name of the converter of each parameter, by its name; of what is `given`, str."""
        in_path = {parameter.name: parameter.converter.name for parameter in self.parameters}
        return {**dict.fromkeys(self.given, "str"), **in_path}

    @property
    def is_static(self) -> bool:
        """True if it has no parameters."""
        return not self.parameters

    def url(self, values: dict[str, Any]) -> str:
        """The percent-encoded path with these values. Raises LookupError for one missing, too many, or unfit."""
        unknown = values.keys() - {parameter.name for parameter in self.parameters}
        if unknown:
            raise LookupError(f"the path {self.text!r} has no parameter {', '.join(sorted(unknown))}")
        parts = []
        for segment in self.segments:
            if isinstance(segment, str):
                parts.append(encode_path(segment))
                continue
            if segment.name not in values:
                raise LookupError(f"the path {self.text!r} needs a value for {segment.name}")
            converter = segment.converter
            try:
                text = converter.write(values[segment.name])
                converter.read(text)
            except ValueError:
                raise LookupError(
                    f"{values[segment.name]!r} is no {converter.name} for {segment.name} in the path {self.text!r}"
                ) from None
            encoded = encode_path(text) if converter.name == "path" else encode_path(text).replace("/", "%2F")
            parts.append(encode_path(segment.prefix) + encoded + encode_path(segment.suffix))
        return "/" + "/".join(parts)

    def covers(self, raw_path: str) -> bool:
        """Whether a path is the pattern's, or below it: "/api/x" is below "/api", everything below "/"."""
        segments = [] if self.text == "/" else self.segments
        parts = raw_path[1:].split("/")
        if len(parts) < len(segments):
            return False
        for segment, part in zip(segments, parts, strict=False):
            try:
                text = decode_path(part)
                if isinstance(segment, str):
                    if text != segment:
                        return False
                else:
                    if not (text.startswith(segment.prefix) and text.endswith(segment.suffix)):
                        return False
                    segment.converter.read(text[len(segment.prefix) : len(text) - len(segment.suffix)])
            except ValueError:
                return False
        return True

    def _segment(self, segment: str, annotations: dict[str, Any]) -> str | Parameter:
        match = _PARAMETER.fullmatch(segment)
        if match is None:
            if "{" in segment or "}" in segment:
                raise RouteError(
                    f"{segment!r} in the path {self.text!r} is no parameter: write {{name}} or {{name:converter}}, "
                    "one in a segment"
                )
            return segment
        prefix, name, kind, suffix = match.groups()
        if kind is None:
            kind = BY_ANNOTATION.get(annotations.get(name), "str")
        converter = CONVERTERS.get(kind)
        if converter is None:
            raise RouteError(f"no converter {kind!r} in the path {self.text!r}: there are {', '.join(CONVERTERS)}")
        return Parameter(name, converter, prefix, suffix)


_PARAMETER = re.compile(r"([^{}]*)\{([A-Za-z_][A-Za-z0-9_]*)(?::([a-z]+))?\}([^{}]*)")


class _Edge:
    """One parameter that a segment may be, and where it leads."""

    __slots__ = ("around", "node", "parameter", "read", "takes_rest")

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter
        self.read = parameter.converter.read
        self.around = bool(parameter.prefix or parameter.suffix)  # literal text stands around it in its segment
        self.takes_rest = parameter.converter.name == "path"
        self.node = _Node()


class _Node:
    """A place in the tree: what is here, and the segments that lead on."""

    __slots__ = ("edges", "literal", "names", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.names: tuple[str, ...] = ()  # of the parameters on the way here
        self.literal: dict[str, _Node] = {}
        self.edges: list[_Edge] = []  # the most definite first


class Tree:
    """The part of a `Router` that every request goes through: no generic class, which cannot be compiled as well."""

    __slots__ = ("_root", "static")

    def __init__(self) -> None:
        self.static: dict[str, Any] = {}  # by raw path: looked up before anything is decoded
        self._root = _Node()

    def find(self, raw_path: str) -> tuple[Any, dict[str, Any]] | None:
        """The value for a percent-encoded path and the parameters read from it, or None.

        Segments are split before they are decoded, so that an encoded slash stays inside its parameter. Raises
        ValueError for a path that cannot be decoded.
        """
        value = self.static.get(raw_path)
        if value is not None:
            return value, {}
        segments = raw_path.split("/")
        if "%" in raw_path:
            segments = [decode_path(segment) for segment in segments]
        values: list[Any] = []
        node = _walk(self._root, segments, 1, values)  # before the first slash is nothing
        if node is None:
            return None
        parameters: dict[str, Any] = {}
        for index, name in enumerate(node.names):  # a dict of a zip takes three times as long, for a name or two
            parameters[name] = values[index]
        return node.value, parameters


class Router(Tree, Generic[T]):
    """Finds the value that was added for the pattern that a path matches."""

    def __init__(self) -> None:
        super().__init__()
        self._values: list[T] = []

    def values(self) -> list[T]:
        """Every value that was added."""
        return self._values

    def at(self, pattern: Pattern, make: Callable[[], T]) -> T:
        """The value at the place of `pattern`, made if there is none. Raises RouteError for other parameter names."""
        node = self._root
        for segment in pattern.segments:
            node = self._step(node, segment)
        names = tuple(parameter.name for parameter in pattern.parameters)
        if node.value is None:
            node.value = make()
            node.names = names
            self._values.append(node.value)
        elif node.names != names:
            raise RouteError(
                f"the path {pattern.text!r} is another route's with other parameter names: {', '.join(node.names)}"
            )
        if pattern.is_static:
            self.static[encode_path(pattern.text)] = node.value
        value: T = node.value
        return value

    def holds(self, pattern: Pattern) -> bool:
        """Whether a value was added for what `pattern` matches, by whatever names of parameters."""
        node: _Node | None = self._root
        for segment in pattern.segments:
            assert node is not None
            if isinstance(segment, str):
                node = node.literal.get(segment)
            else:
                node = next((edge.node for edge in node.edges if edge.parameter.edge == segment.edge), None)
            if node is None:
                return False
        return node is not None and node.value is not None

    def _step(self, node: _Node, segment: str | Parameter) -> _Node:
        if isinstance(segment, str):
            return node.literal.setdefault(segment, _Node())
        for edge in node.edges:
            if edge.parameter.edge == segment.edge:
                return edge.node
        edge = _Edge(segment)
        node.edges.append(edge)
        node.edges.sort(key=lambda each: each.parameter.order)
        return edge.node


def _walk(node: _Node, segments: list[str], index: int, values: list[Any]) -> _Node | None:
    """The best place that the segments from `index` lead to; adds what the parameters say to `values`."""
    if index == len(segments):
        return node if node.value is not None else None
    segment = segments[index]
    following = node.literal.get(segment)
    if following is not None:
        found = _walk(following, segments, index + 1, values)
        if found is not None:
            return found
    for edge in node.edges:
        text = "/".join(segments[index:]) if edge.takes_rest else segment
        if edge.around:
            before, behind = edge.parameter.prefix, edge.parameter.suffix
            if len(text) < len(before) + len(behind) or not (text.startswith(before) and text.endswith(behind)):
                continue
            text = text[len(before) : len(text) - len(behind)]
        try:
            values.append(edge.read(text))
        except ValueError:
            continue
        found = _walk(edge.node, segments, len(segments) if edge.takes_rest else index + 1, values)
        if found is not None:
            return found
        values.pop()
    return None


def slash_toggled(raw_path: str) -> str:
    """The path with its trailing slash taken off, or with one."""
    return raw_path[:-1] if raw_path.endswith("/") else raw_path + "/"


def allow(methods: Iterable[str]) -> str:
    """The value of Allow (RFC 9110 section 10.2.1): every method, OPTIONS always among them."""
    return ", ".join(sorted({*methods, "OPTIONS"}))
