"""What is imported when it is first asked for: the public names of a package, and the commands of the command line.

A module that serves a folder needs neither asyncio nor ssl nor the client; whoever starts it should not wait for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from threading import RLock
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import logging


def lazy_names(package: str, table: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` (PEP 562) of a package whose names are imported when they are first asked for.

    `table` has the module of each name. Tools read the imports under TYPE_CHECKING beside it; a test holds the two to
    say the same.
    """
    namespace = vars(sys.modules[package])

    def find(name: str) -> Any:
        if name not in table:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = namespace[name] = import_from(table[name], name)  # from now on Python finds it without us
        return found

    def names() -> list[str]:
        return sorted({*namespace, *table})

    return find, names


class LazyModule:
    """Stands for a module that few need and that is used where every microsecond counts: imported at the first use.

    An import within a function would cost each call of it another; here only the first look at a name costs anything.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        found = self.__dict__[name] = import_from(self.__name__, name)
        return found


class _LazyLogger:
    """See `lazy_logger`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        import logging

        with _lock:
            while _before_records:
                _before_records.pop()()
        found = self.__dict__[attribute] = getattr(logging.getLogger(self._name), attribute)
        return found


def lazy_logger(name: str) -> logging.Logger:
    """The logger of that name, for which `logging` is imported with the first record: most starts have none."""
    return cast("logging.Logger", _LazyLogger(name))


def before_records(function: Callable[[], None]) -> None:
    """Has a function called before the first record of any lazy logger, by which time it sets up where records go."""
    _before_records.append(function)


_lock = RLock()
_before_records: list[Callable[[], None]] = []


def import_from(module: str, name: str) -> Any:
    """What a module has under a name."""
    return getattr(__import__(module, fromlist=(name,)), name)
