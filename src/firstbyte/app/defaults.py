"""What msgspec leaves out of the dataclasses that it makes: fields with their plain defaults.

They are there as attributes of the class, but not in the object's own dict, by which msgspec writes it down: a handler
that returned what it was given would send it without them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import msgspec


def completing(kind: Any) -> Callable[[Any], Any] | None:
    """A function that completes a value of `kind` as msgspec made it and returns it; None where nothing can lack."""
    for each, _ in parts_of(msgspec.inspect.type_info(kind)):
        fields = each.fields if isinstance(each, msgspec.inspect.DataclassType) else ()
        if any(field.default is not msgspec.NODEFAULT for field in fields):
            return _completed
    return None


def parts_of(info: Any) -> Iterator[tuple[Any, str]]:
    """All that a type, as msgspec.inspect tells it, consists of, itself first; each once, with the field "Class.name"
    that it is or is within, if it is one of a structure's."""
    seen: set[int] = set()
    pending = [(info, "")]
    while pending:
        each, field = pending.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))  # structures may have themselves as fields
        yield each, field
        inner = [*getattr(each, "types", ()), *getattr(each, "item_types", ())]
        inner += [getattr(each, name) for name in ("item_type", "key_type", "value_type") if hasattr(each, name)]
        pending += [(one, field) for one in inner]
        pending += [(one.type, f"{each.cls.__name__}.{one.name}") for one in getattr(each, "fields", ())]


def _completed(value: Any) -> Any:
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, list | tuple | set | frozenset):
            pending.extend(each)
        elif isinstance(each, dict):
            pending.extend(each.values())
        elif isinstance(each, msgspec.Struct):
            pending.extend(getattr(each, name) for name in each.__struct_fields__)
        elif dataclasses.is_dataclass(each):
            own = getattr(each, "__dict__", None)  # there is none with slots, whose defaults are set
            for field in dataclasses.fields(each):
                if own is not None and field.name not in own and field.default is not dataclasses.MISSING:
                    own[field.name] = field.default
            pending.extend(getattr(each, field.name, None) for field in dataclasses.fields(each))
        elif hasattr(each, "__attrs_attrs__"):
            pending.extend(getattr(each, field.name, None) for field in each.__attrs_attrs__)
    return value
