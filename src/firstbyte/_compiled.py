"""Which body of the package runs: the compiled modules, where they were built, or plain Python (FIRSTBYTE_PURE=1).

Imported before every other module of the package.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

_PACKAGE = __name__.rpartition(".")[0]
_SUFFIXES = tuple(importlib.machinery.EXTENSION_SUFFIXES)


class _PlainFinder:
    """Finds the modules of this package as plain Python, also where a compiled one lies beside it."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's source; None for what is not ours or is a package, which the import system finds.

        Raises ModuleNotFoundError for a module that exists compiled only.
        """
        if not name.startswith(f"{_PACKAGE}.") or path is None:
            return None
        from importlib.util import spec_from_file_location  # these are not of those that every start must pay for
        from pathlib import Path

        last = name.rpartition(".")[2]
        for folder in path:
            file = Path(folder, f"{last}.py")
            if file.is_file():
                return spec_from_file_location(name, file)
            if any(Path(folder, last + suffix).is_file() for suffix in _SUFFIXES):
                raise ModuleNotFoundError(f"{name} is not in plain Python", name=name)
        return None


def compiled_modules() -> list[str]:
    """The names of the modules that run compiled, of those imported so far."""
    return sorted(
        name
        for name, module in sys.modules.items()
        if name.startswith(f"{_PACKAGE}.") and (getattr(module, "__file__", None) or "").endswith(_SUFFIXES)
    )


_pure = os.environ.get("FIRSTBYTE_PURE") == "1"
if _pure:
    sys.meta_path.insert(0, _PlainFinder)

compiled = not _pure and any(
    os.path.exists(os.path.join(os.path.dirname(__file__), "wire", "head" + suffix))  # noqa: PTH110, PTH118, PTH120
    for suffix in _SUFFIXES
)
"""Whether the modules on a request's way run compiled (see docs/install.md): whether the first of them is."""
