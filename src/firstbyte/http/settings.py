"""Numbers that can be set, each with a default and a meaning, which the command line shows as help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self, dataclass_transform


class Setting(NamedTuple):
    """What is said of one number: its default, its meaning, and the least that it may be, which not all have."""

    default: float
    doc: str
    least: float


def setting(default: float, doc: str, least: float = 0) -> Any:
    """A field of a class of settings: `body: int = setting(1000, "The longest body; beyond it 413.")`."""
    return Setting(default, doc, least)


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Settings:
    """A frozen record whose fields are settings. Raises TypeError for a field it does not have, and what `check` does.

    It is what a dataclass would be, without loading those: every server begins with its settings, and `dataclasses`
    takes as long to import as a third of the server.
    """

    settings: ClassVar[Mapping[str, Setting]]
    """The fields, in order."""

    def __init_subclass__(cls) -> None:
        cls.settings = {name: each for name, each in vars(cls).items() if isinstance(each, Setting)}
        for name in cls.settings:
            delattr(cls, name)

    def __init__(self, **given: Any) -> None:
        for name in given:
            if name not in self.settings:
                raise TypeError(f"{type(self).__name__} has no {name!r}: there are {', '.join(self.settings)}")
        for name, each in self.settings.items():
            value = self.__dict__[name] = given.get(name, each.default)
            self.check(name, value, each.least)

    def check(self, name: str, value: float, least: float) -> None:
        """Raises ValueError for a value that cannot be."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")

    def __replace__(self, **changes: Any) -> Self:
        """For `copy.replace`: these settings with some that are others."""
        return type(self)(**{**self.__dict__, **changes})

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__.values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"


class TimeoutSettings(Settings):
    """Times in seconds; `inf` waits for ever. Raises ValueError for one that is not above zero."""

    def check(self, name: str, value: float, least: float) -> None:
        """See `Settings.check`."""
        if not value > 0:
            raise ValueError(f"timeout {name} is {value} s: it must be above zero")
