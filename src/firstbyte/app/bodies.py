"""Request bodies as values of a type, by their Content-Type: JSON, a form, files and all, MessagePack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_origin

import msgspec

from firstbyte.app.problems import Problem, problem_of, refuse
from firstbyte.app.texts import Fields
from firstbyte.errors import HTTPError
from firstbyte.http.request import Request
from firstbyte.http.uploads import FormData

Reader = Callable[[Request], Any]

_JSON = ("application/json",)
_MSGPACK = ("application/msgpack", "application/vnd.msgpack", "application/x-msgpack")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def body_reader(kind: Any) -> Reader:
    """Reads a body as a value of `kind`; raises TypeError if there is no such thing.

    The reader raises ValidationError: 422 for what does not fit, 400 for what is no JSON or MessagePack, 415 for a type
    of body that is none of those that are read. A body without a Content-Type is taken for JSON.
    """
    if kind is bytes:
        return lambda request: request.body
    if kind is str:
        return lambda request: request.text
    if hasattr(kind, "model_validate"):
        return _pydantic_reader(kind)
    json, msgpack = msgspec.json.Decoder(kind), msgspec.msgpack.Decoder(kind)
    fields = Fields(kind)

    def read(request: Request) -> Any:
        decode: Callable[[bytes], Any]
        plain: Callable[[bytes], Any]
        media = request.headers.get("content-type")
        if media is None or media == "application/json":
            decode, plain = json.decode, msgspec.json.decode
        else:
            essence = media.partition(";")[0].strip().lower()
            if essence in _JSON or essence.endswith("+json"):
                decode, plain = json.decode, msgspec.json.decode
            elif essence in _MSGPACK:
                decode, plain = msgpack.decode, msgspec.msgpack.decode
            elif essence in _FORMS:
                form = request.form()
                return fields.read(fields.all_of(form.files) | fields.all_of(form), "body")
            else:
                raise _unsupported(essence)
        body = request.body
        try:
            return decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
            wrong = error
        # What does not fit is at fault in one value (422); what cannot be read as any value is as a whole (400): broken
        # text, numbers that none can hold, nesting without an end. msgspec tells them apart by no type.
        try:
            given = plain(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
            raise refuse([Problem("body", str(error))], 400) from None
        if isinstance(wrong, msgspec.ValidationError):
            raise refuse([problem_of(wrong, "body", given)])
        raise refuse([Problem("body", str(wrong))], 400)

    return read


def _pydantic_reader(kind: Any) -> Reader:
    many = frozenset(
        field.alias or name
        for name, field in kind.model_fields.items()
        if (get_origin(field.annotation) or field.annotation) in (list, set, frozenset, tuple)
    )

    def read(request: Request) -> Any:
        media = request.media_type
        essence = "application/json" if media is None else media.essence
        try:
            if essence in _JSON or essence.endswith("+json"):
                return kind.model_validate_json(request.body)
            if essence in _FORMS:
                return kind.model_validate(_form_values(request.form(), many))
        except ValueError as error:
            if not hasattr(error, "errors"):
                raise
            problems = [
                Problem(_where(each["loc"]), each["msg"], came=str(each.get("input", ""))[:80])
                for each in error.errors(include_url=False)
            ]
            broken = any(each["type"] == "json_invalid" for each in error.errors(include_url=False))
            raise refuse(problems, 400 if broken else 422) from None
        raise _unsupported(essence)

    return read


def _where(location: tuple[str | int, ...]) -> str:
    return "body" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)


def _unsupported(essence: str) -> HTTPError:
    return HTTPError(415, f"a body of type {essence} is not read here: JSON, MessagePack and forms are")


def _form_values(form: FormData, many: frozenset[str]) -> dict[str, Any]:
    return {
        name: pairs.get_all(name) if name in many else pairs[name] for pairs in (form.files, form) for name in pairs
    }
