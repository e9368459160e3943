"""What annotations say: which types are structures, files, lists, and what stands in unions."""

from __future__ import annotations

import enum
import sys
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from firstbyte.http.uploads import UploadedFile

MANY = (list, set, frozenset, tuple)


def is_structure(kind: Any) -> bool:
    """Whether a type is one for a body: with fields, or a container of other than plain values."""
    kind = bare(kind)
    kinds = [each for each in alternatives(kind) if each is not type(None)]
    if len(kinds) > 1 or (kinds and kinds[0] is not kind):
        return any(is_structure(each) for each in kinds)
    origin = get_origin(kind) or kind
    if origin in MANY:
        return any(is_structure(each) for each in get_args(kind) if each is not Ellipsis)
    if not isinstance(origin, type):
        return False
    return (
        origin is dict
        or hasattr(origin, "__struct_fields__")
        or hasattr(origin, "__dataclass_fields__")
        or hasattr(origin, "__attrs_attrs__")
        or hasattr(origin, "model_validate")
        or hasattr(origin, "__total__")  # a TypedDict
        or (issubclass(origin, tuple) and hasattr(origin, "_fields"))
    )


def is_file(kind: Any) -> bool:
    """Whether a type is `UploadedFile`, some of them, or either or None."""
    kinds = {bare(each) for each in alternatives(bare(kind)) if each is not type(None)}
    if len(kinds) != 1:
        return False
    (only,) = kinds
    return only is UploadedFile or (is_many(only) and set(get_args(only)) - {Ellipsis} == {UploadedFile})


def bare(kind: Any) -> Any:
    """A type without what `Annotated` says of it."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The types of a union, or the only one."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def is_many(kind: Any) -> bool:
    """Whether a type takes several values."""
    return any((get_origin(each) or each) in MANY for each in map(bare, alternatives(bare(kind))))


def is_optional(kind: Any) -> bool:
    """Whether a type may be None."""
    return type(None) in alternatives(bare(kind))


def without_none(kind: Any) -> Any:
    """A type without its None."""
    if get_origin(kind) is Annotated:
        inner, *extras = get_args(kind)
        kind = without_none(inner)
        for extra in extras:
            kind = Annotated[kind, extra]
        return kind
    kept = tuple(each for each in alternatives(kind) if each is not type(None))
    return Union[kept] if kept else kind  # noqa: UP007 - the types are known when it runs


def choices(kind: Any) -> list[str]:
    """The values of an Enum or a Literal, None aside; nothing of another type."""
    kind = bare(without_none(bare(kind)))
    if get_origin(kind) is Literal:
        return [str(each) for each in get_args(kind) if each is not None]
    members: Any = kind if isinstance(kind, enum.EnumMeta) else ()
    return [str(each.value) for each in members]


def uses_pydantic(kind: Any) -> bool:
    """Whether a type is, or consists of, models of pydantic."""
    if "pydantic" not in sys.modules:
        return False
    return hasattr(kind, "__pydantic_validator__") or any(uses_pydantic(each) for each in get_args(kind))


def named(kind: Any) -> str:
    """A type's name for messages."""
    kind = bare(kind)
    if len(alternatives(kind)) > 1:
        return " | ".join("None" if each is type(None) else named(each) for each in alternatives(kind))
    return getattr(kind, "__name__", None) or str(kind)
