"""Packages and programs that a test may not find: without them it skips with a reason, and fails in CI."""

from __future__ import annotations

import importlib
import os
import shutil
from types import ModuleType
from typing import NoReturn

import pytest


def package(name: str) -> ModuleType:
    """The package, imported."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        _miss(f"the package {name} is missing: pip install -r requirements-dev.txt")


def program(*names: str) -> str:
    """The path of the first of the programs that is there."""
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        _miss(f"{names[0]} is missing: run make deps")
    return path


def _miss(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)
