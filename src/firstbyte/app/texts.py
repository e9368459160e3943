"""Values from the texts of queries, headers, cookies and forms, which have no types of their own.

msgspec converts them. Where it would take what nobody means, they do not fit: "null" for nothing, "nan" for a number,
"5" for a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from firstbyte.app.annotations import alternatives, bare, is_many, without_none
from firstbyte.app.collecting import hints_of, missing
from firstbyte.app.defaults import completing
from firstbyte.app.problems import Problem, problem_of, refuse
from firstbyte.errors import ValidationError
from firstbyte.http.multidict import MultiDict
from firstbyte.http.uploads import FormData

_NO_NUMBER = re.compile(r"[+-]?s?(nan|inf).*|.*[_\s].*", re.IGNORECASE)  # what float and Decimal read, but no JSON says
_A_NUMBER = re.compile(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", re.IGNORECASE)  # which would be seconds, of a time or since 1970
_UNFIT = "\0"  # in the place of a text that is not to fit: it stands for no value


class Texts:
    """How the texts of one name become a value of `kind`; `many` if all of them do, and not only the first.

    Raises TypeError for a type that no text can be converted to.
    """

    __slots__ = ("_choices", "_kind", "_unfit", "many")

    def __init__(self, kind: Any) -> None:
        self._kind = without_none(kind)
        self.many = is_many(self._kind)
        self._choices: list[str] = []  # of an Enum or a Literal
        leaves = list(_leaves(msgspec.inspect.type_info(self._kind)))
        for each in leaves:
            if isinstance(each, _NO_TEXT):
                raise TypeError(f"no text is a {_name_of(each)}")
            if isinstance(each, _BYTES):
                raise TypeError("a text has no bytes: say str, or Annotated[bytes, Body()] for the body as it came")
            if isinstance(each, msgspec.inspect.EnumType):
                self._choices += [str(member.value) for member in each.cls]
            elif isinstance(each, msgspec.inspect.LiteralType):
                self._choices += map(str, each.values)
        self._unfit: re.Pattern[str] | None = None  # what msgspec would read, and nobody means
        if not any(isinstance(each, _ANYTHING) for each in leaves):
            if any(isinstance(each, _FRACTIONS) for each in leaves):
                self._unfit = _NO_NUMBER
            elif any(isinstance(each, _TIMES) for each in leaves) and not any(
                isinstance(each, msgspec.inspect.IntType) for each in leaves
            ):
                self._unfit = _A_NUMBER

    def read(self, given: Any, where: str) -> Any:
        """The value of a text, or of a list of them, that came at `where`. Raises ValidationError."""
        try:
            fit = given
            if self._unfit is not None:
                fit = [self._fit(each) for each in given] if isinstance(given, list) else self._fit(given)
            return msgspec.convert(fit, self._kind, strict=False)
        except msgspec.ValidationError as error:
            problem = problem_of(error, where, given)
            if not problem.expected and self._choices:
                problem.expected = f"one of {', '.join(self._choices)}"
            raise refuse([problem]) from None

    def _fit(self, text: str) -> str:
        assert self._unfit is not None
        return _UNFIT if self._unfit.fullmatch(text) else text


class ByName:
    """What of a query or a form is for the fields `names` of a structure, of which those in `many` take several."""

    def __init__(self, names: Iterable[str], many: Iterable[str]) -> None:
        self._names, self._many = frozenset(names), frozenset(many)

    def of(self, texts: MultiDict[Any]) -> dict[str, Any]:
        """What is there of the fields: the first value of each name, or all of them for a field that takes several."""
        return {name: value for name, value in self.all_of(texts).items() if name in self._names}

    def of_form(self, form: FormData) -> dict[str, Any]:
        """`of` a form's fields, and of its files where no field has the name."""
        return self.of(form.files) | self.of(form)

    def all_of(self, texts: MultiDict[Any]) -> dict[str, Any]:
        """`of`, with the names that are no field's, which a structure may refuse."""
        return {name: texts.get_all(name) if name in self._many else texts[name] for name in texts}

    def all_of_form(self, form: FormData) -> dict[str, Any]:
        """`of_form`, with the names that are no field's."""
        return self.all_of(form.files) | self.all_of(form)

    def read(self, given: Mapping[str, Any], where: str) -> Any:
        """The structure. Raises ValidationError with a problem for each field that does not fit, and its place."""
        raise NotImplementedError


class Fields(ByName):
    """How texts, and files, of several names become the fields of one structure of msgspec's kinds."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self.completed = completing(kind)
        self._texts: dict[str, Texts] = {}
        names, many = set(), set()
        for each in alternatives(bare(kind)):
            hints = hints_of(each)
            for field in getattr(msgspec.inspect.type_info(each), "fields", ()):
                names.add(field.encode_name)
                hint = hints.get(field.name, Any)
                if is_many(hint):
                    many.add(field.encode_name)
                try:
                    self._texts[field.encode_name] = Texts(hint)
                except TypeError:
                    pass  # a file, or what the structure as a whole refuses
        super().__init__(names, many)

    def read(self, given: Mapping[str, Any], where: str) -> Any:
        """See `ByName.read`."""
        problems: list[Problem] = []
        for name, texts in self._texts.items():
            if name in given:
                try:
                    texts.read(given[name], f"{where}.{name}")
                except ValidationError as error:
                    problems += error.problems
        if problems:
            problems += self._missing(given, where)
        else:
            try:
                value = msgspec.convert(given, self._kind, strict=False)
                return value if self.completed is None else self.completed(value)
            except msgspec.ValidationError as error:
                problems = list(self._missing(given, where)) or [problem_of(error, where, given)]
        raise refuse(problems)

    def _missing(self, given: Mapping[str, Any], where: str) -> Iterable[Problem]:
        structure = without_none(self._kind)
        return () if len(alternatives(structure)) > 1 else missing(structure, given, where)


def has_names(kind: Any) -> bool:
    """Whether a type of msgspec's kinds is a structure whose fields are members, as forms have them, and no list."""
    infos = [msgspec.inspect.type_info(each) for each in alternatives(bare(kind)) if each is not type(None)]
    return any(
        hasattr(info, "fields")
        and not isinstance(info, msgspec.inspect.NamedTupleType)
        and not getattr(info, "array_like", False)
        for info in infos
    )


def _leaves(info: Any) -> Iterator[Any]:
    """What a type of msgspec.inspect consists of, in unions and lists."""
    inner = [*getattr(info, "types", ()), *getattr(info, "item_types", ())]
    if hasattr(info, "item_type"):
        inner.append(info.item_type)
    if not inner:
        yield info
    for each in inner:
        yield from _leaves(each)


def _name_of(info: Any) -> str:
    return getattr(getattr(info, "cls", None), "__name__", "") or type(info).__name__.removesuffix("Type")


_BYTES = (msgspec.inspect.BytesType, msgspec.inspect.ByteArrayType, msgspec.inspect.MemoryViewType)
_FRACTIONS = (msgspec.inspect.FloatType, msgspec.inspect.DecimalType)
_TIMES = (msgspec.inspect.DateTimeType, msgspec.inspect.TimeDeltaType)
_ANYTHING = (msgspec.inspect.StrType, msgspec.inspect.AnyType)
_NO_TEXT = (msgspec.inspect.CustomType, msgspec.inspect.ExtType, msgspec.inspect.RawType)
