"""Request bodies as values of a type, by their Content-Type: JSON, a form, files and all, MessagePack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_origin

import msgspec

from firstbyte.app.annotations import bare, uses_pydantic
from firstbyte.app.collecting import problems_of
from firstbyte.app.defaults import parts_of
from firstbyte.app.models import Models
from firstbyte.app.problems import Problem, refuse
from firstbyte.app.texts import Fields, has_names
from firstbyte.errors import HTTPError, ValidationError
from firstbyte.http.request import Request
from firstbyte.http.uploads import UploadedFile

Reader = Callable[[Request], Any]

_JSON = ("application/json",)
_MSGPACK = ("application/msgpack", "application/vnd.msgpack", "application/x-msgpack")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def body_reader(kind: Any) -> Reader:
    """Reads a body as a value of `kind`; raises TypeError if there is no such thing.

    The reader raises ValidationError: 422 for what does not fit, 400 for what is no JSON or MessagePack, 415 for a type
    of body that is none of those that are read. A body without a Content-Type is taken for JSON.
    """
    if bare(kind) is bytes:
        return lambda request: request.body
    if bare(kind) is str:
        return lambda request: request.text
    if uses_pydantic(kind):
        return _models_reader(Models(kind))
    json, msgpack = msgspec.json.Decoder(kind), msgspec.msgpack.Decoder(kind)
    _check(kind)
    fields = Fields(kind)
    completed = fields.completed
    takes_forms = has_names(kind) or (get_origin(bare(kind)) or bare(kind)) is dict

    def read(request: Request) -> Any:
        decode: Callable[[bytes], Any]
        plain: Callable[[bytes], Any]
        media = request.content_type
        if media is None or media == "application/json":
            decode, plain = json.decode, msgspec.json.decode
        else:
            essence = media.partition(";")[0].strip().lower()
            if essence in _JSON or essence.endswith("+json"):
                decode, plain = json.decode, msgspec.json.decode
            elif essence in _MSGPACK:
                decode, plain = msgpack.decode, msgspec.msgpack.decode
            elif essence in _FORMS:
                if not takes_forms:
                    raise _unsupported(essence, "JSON and MessagePack are")
                return fields.read(fields.all_of_form(request.form()), "body")
            else:
                raise _unsupported(essence)
        body = request.body
        try:
            value = decode(body)
            return value if completed is None else completed(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
            wrong = error
        # What does not fit is at fault in one value (422); what cannot be read as any value is as a whole (400): broken
        # text, numbers that none can hold, nesting without an end. msgspec tells them apart by no type.
        try:
            given = plain(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
            raise _unreadable(body, error) from None
        if isinstance(wrong, msgspec.ValidationError):
            raise refuse(problems_of(wrong, "body", given, kind))
        raise _unreadable(body, wrong)

    return read


def _models_reader(models: Models) -> Reader:
    def read(request: Request) -> Any:
        media = request.content_type
        essence = "application/json" if media is None else media.partition(";")[0].strip().lower()
        if essence in _JSON or essence.endswith("+json"):
            return models.read_json(request.body)
        if essence in _FORMS:
            return models.read(models.all_of_form(request.form()), "body")
        if essence not in _MSGPACK:
            raise _unsupported(essence)
        try:
            given = msgspec.msgpack.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
            raise _unreadable(request.body, error) from None
        return models.read_value(given, "body")

    return read


def _check(kind: Any) -> None:
    """Raises TypeError for a type within which is one that no body can have."""
    for each, field in parts_of(msgspec.inspect.type_info(kind)):
        if isinstance(each, msgspec.inspect.CustomType) and each.cls is not UploadedFile:
            raise TypeError(f"no body has a {each.cls.__name__}{field and f', which {field} is'}")


def _unreadable(body: bytes, error: Exception) -> ValidationError:
    message = str(error).partition(" - at `")[0] if body else "the body is empty"
    return refuse([Problem("body", message)], 400)


def _unsupported(essence: str, what_is: str = "JSON, MessagePack and forms are") -> HTTPError:
    return HTTPError(415, f"a body of type {essence or 'unknown'} is not read here: {what_is}")
