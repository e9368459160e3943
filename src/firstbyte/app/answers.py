"""What a handler's return annotation promises: how it is sent, and, in development, whether it is true."""

from __future__ import annotations

import enum
import inspect
import types
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from firstbyte.app.annotations import uses_pydantic
from firstbyte.app.event_streams import event_stream, gives_events
from firstbyte.app.middleware import place
from firstbyte.app.problems import problem_of
from firstbyte.app.results import to_response
from firstbyte.http.events import EVENT_STREAM, Event
from firstbyte.http.request import Request
from firstbyte.http.response import HTML, JSON, OCTETS, Response

Answering = Callable[[Any, Request], Response]


class Answer(NamedTuple):
    """One answer that a return annotation promises. `media` is "" for one without a body, or of an unknown type."""

    status: int | None
    """None where the annotation leaves it open, as `tuple[Task, int]` does."""
    kind: Any
    media: str


def answers(hint: Any) -> list[Answer]:
    """What a handler with this return annotation answers; nothing for one that does not say."""
    if get_origin(hint) in (Union, types.UnionType):
        return [answer for each in get_args(hint) for answer in answers(each)]
    if hint is Any or isinstance(hint, str):  # text is an annotation that could not be read
        return []
    if get_origin(hint) is tuple and len(get_args(hint)) in (2, 3):
        value, status, *_ = get_args(hint)
        if status is int:
            return [each._replace(status=None) for each in answers(value)]
        if get_origin(status) is Literal and all(isinstance(each, int) for each in get_args(status)):
            return [each._replace(status=number) for number in get_args(status) for each in answers(value)]
    return [_answer(hint)]


def _answer(hint: Any) -> Answer:
    if hint is None or hint is type(None):
        return Answer(204, None, "")
    kind = get_origin(hint) or hint
    if not isinstance(kind, type):
        return Answer(200, hint, JSON)
    if issubclass(kind, enum.Enum):
        return Answer(200, hint, JSON)
    if issubclass(kind, Response):
        return Answer(None, Response, "")
    if kind in _STREAMS and any(each is Event for each in _alternatives(hint)):
        return Answer(200, hint, EVENT_STREAM)
    if issubclass(kind, str) or kind in _STREAMS:
        return Answer(200, hint, HTML)
    if issubclass(kind, bytes | bytearray | memoryview):
        return Answer(200, bytes, OCTETS)
    if issubclass(kind, Path):
        return Answer(200, bytes, "*/*")
    return Answer(200, hint, JSON)


def _alternatives(stream: Any) -> tuple[Any, ...]:
    """What a stream with this annotation may give."""
    given = get_args(stream)[:1]
    return tuple(each for kind in given for each in (get_args(kind) or (kind,)))


_STREAMS = (Iterator, Iterable, Generator, AsyncIterator, AsyncIterable, AsyncGenerator)


def answering(function: Callable[..., Any], hint: Any, check: bool) -> Answering:
    """From the values of a handler, which is annotated to return `hint`, to responses.

    What is annotated as a structure is encoded as one in a single call, and whatever msgspec or pydantic can write down
    may be. With `check` a value that is not what the annotation says raises TypeError.
    """
    promised = answers(hint)
    if any(each.media == EVENT_STREAM for each in promised) or (not promised and gives_events(function)):
        return _events
    structures = [each.kind for each in promised if each.media == JSON]
    answer = _encoding(structures) if structures else to_response
    return _checking(function, hint, promised, answer) if check and promised else answer


def _events(value: Any, request: Request) -> Response:
    """A generator of events, or what its handler gives in its place."""
    return event_stream(value) if isinstance(value, Iterator | AsyncIterator) else to_response(value, request)


def _encoding(structures: list[Any]) -> Answering:
    """Sends what is of these types as they say, and everything else by its own."""
    encoders = {get_origin(each) or each: _encoder(each) for each in structures}
    encoders.pop(tuple, None)  # a value and its status

    def answer(value: Any, request: Request) -> Response:
        encode = encoders.get(type(value))
        if encode is not None:
            return Response(encode(value), 200, None, JSON)
        return to_response(value, request, as_json=True)

    return answer


def _encoder(kind: Any) -> Callable[[Any], bytes]:
    if not uses_pydantic(kind):
        return msgspec.json.encode
    from pydantic import TypeAdapter  # there it is, since a type of its own is

    return partial(TypeAdapter(kind).dump_json, by_alias=True)


# -- in development


def _checking(function: Callable[..., Any], hint: Any, promised: list[Answer], answer: Answering) -> Answering:
    """`answer`, which raises TypeError for what is none of `promised`: with the function, its line, and what came."""
    # Of a file the request's conditions and ranges decide the status: 206, 304, 412, 416.
    checks = [(None if each.media == "*/*" else each.status, _check_of(each)) for each in promised]

    def checked(value: Any, request: Request) -> Response:
        response = answer(value, request)
        content = value[0] if type(value) is tuple else value
        reasons = []
        for status, check in checks:
            if status is not None and status != response.status:
                reasons.append(f"that is a {response.status}")
                continue
            reason = check(content, response)
            if reason is None:
                return response
            reasons.append(reason)
        response.close()
        said = inspect.formatannotation(None if hint is type(None) else hint, base_module=function.__module__)
        raise TypeError(
            f"{place(function)} is annotated to return {said} and returned {_named(content)}: "
            f"{' or '.join(dict.fromkeys(reasons))}"
        )

    return checked


def _named(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def _check_of(promised: Answer) -> Callable[[Any, Response], str | None]:
    """A function of a handler's value, without its status, and the response: why it is not what was promised."""
    if promised.media == JSON:
        return _pydantic_check(promised.kind) if uses_pydantic(promised.kind) else _json_check(promised.kind)
    kinds: tuple[Any, ...]
    if promised.media == HTML:
        kinds = _STREAMED if (get_origin(promised.kind) or promised.kind) in _STREAMS else (str,)
    else:
        by_media: dict[str, tuple[Any, ...]] = {OCTETS: _BYTES, "*/*": (Path,)}
        kinds = by_media.get(promised.media, (promised.kind or type(None),))

    def check(content: Any, response: Response) -> str | None:
        return None if isinstance(content, kinds) else f"that is no {kinds[0].__name__}"

    return check


_STREAMED = (Iterator, AsyncIterator)
_BYTES = (bytes, bytearray, memoryview)
_NO_JSON = (str, *_BYTES, Path, Response, *_STREAMED, type(None))


def _pydantic_check(kind: Any) -> Callable[[Any, Response], str | None]:
    from pydantic import TypeAdapter

    adapter = TypeAdapter(kind)

    def check(content: Any, response: Response) -> str | None:
        try:
            adapter.validate_python(content)
        except ValueError as error:
            return str(error)
        return None

    return check


def _json_check(kind: Any) -> Callable[[Any, Response], str | None]:
    """Holds what is sent to a type: who knows it can read that, and finds nothing there that it has no place for."""
    try:
        decode = msgspec.json.Decoder(kind).decode
        info = msgspec.inspect.type_info(kind)
    except TypeError:  # msgspec does not know it
        return lambda content, response: None

    def check(content: Any, response: Response) -> str | None:
        if isinstance(content, _NO_JSON) and not isinstance(content, enum.Enum):
            return "that is no JSON"
        assert isinstance(response.body, bytes)
        sent = msgspec.json.decode(response.body)
        try:
            decode(response.body)
        except msgspec.ValidationError as error:
            problem = problem_of(error, "it", sent)
            return f"{problem.where}: {problem.message}{f' ({problem.came})' if problem.came else ''}"
        unsaid = _unsaid(info, sent, "it")
        return None if unsaid is None else f"{unsaid} is sent and not in the annotation"

    return check


def _unsaid(info: Any, sent: Any, where: str) -> str | None:
    """The first member of a JSON value that the type it is of, as msgspec.inspect tells it, has no place for."""
    inner: list[tuple[Any, Any, str]] = []
    if isinstance(info, msgspec.inspect.UnionType):
        found = [_unsaid(each, sent, where) for each in info.types if _has_shape(each, sent)]
        return None if None in found or not found else found[0]
    if isinstance(sent, dict):
        if hasattr(info, "fields"):
            fields = {field.encode_name: field.type for field in info.fields}
            for name in sent.keys() - fields.keys() - {getattr(info, "tag_field", None)}:
                return f"{where}.{name}"
            inner = [(fields[name], value, f"{where}.{name}") for name, value in sent.items() if name in fields]
        elif hasattr(info, "value_type"):
            inner = [(info.value_type, value, f"{where}.{name}") for name, value in sent.items()]
    elif isinstance(sent, list) and hasattr(info, "item_type"):
        inner = [(info.item_type, value, f"{where}[{index}]") for index, value in enumerate(sent)]
    return next((each for each in (_unsaid(*one) for one in inner) if each is not None), None)


def _has_shape(info: Any, sent: Any) -> bool:
    """Whether an alternative of a union may be what was sent: msgspec lets no two be objects, but for tagged ones."""
    if isinstance(sent, dict):
        tag_field = getattr(info, "tag_field", None)
        if tag_field is not None:
            return bool(sent.get(tag_field) == info.tag)
        return hasattr(info, "fields") or hasattr(info, "value_type")
    return isinstance(sent, list) == (hasattr(info, "item_type") or hasattr(info, "item_types"))
