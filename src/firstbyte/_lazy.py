"""What is imported when it is first asked for: the public names of a package, and the commands of the command line.

A module that serves a folder needs neither asyncio nor ssl nor the client; whoever starts it should not wait for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any


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


def import_from(module: str, name: str) -> Any:
    """What a module has under a name."""
    return getattr(__import__(module, fromlist=(name,)), name)
