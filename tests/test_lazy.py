"""Names that are imported when they are asked for, and what a start has not imported by then."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import pytest

import firstbyte

PACKAGES = ("firstbyte", "firstbyte.proxy")


def imported_for_tools(package: str) -> dict[str, str]:
    """Name -> module of the imports under TYPE_CHECKING."""
    file = importlib.import_module(package).__file__
    assert file is not None
    found = {}
    for node in ast.parse(Path(file).read_text()).body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for each in node.body:
                assert isinstance(each, ast.ImportFrom)
                found |= {alias.name: str(each.module) for alias in each.names}
    return found


@pytest.mark.parametrize("name", PACKAGES)
def test_the_table_says_what_tools_read(name: str) -> None:
    package = importlib.import_module(name)
    assert imported_for_tools(name) == package._MODULES
    assert set(package._MODULES) <= set(package.__all__)


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_there_and_listed(name: str) -> None:
    package = importlib.import_module(name)
    assert set(package.__all__) <= set(dir(package))
    for each in package.__all__:
        found = getattr(package, each)
        module = sys.modules[package._MODULES[each]] if each in package._MODULES else package
        assert found is getattr(module, each)


def test_what_is_no_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'firstbyte' has no attribute 'Ap'"):
        firstbyte.Ap  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Ap' from 'firstbyte'"):
        from firstbyte import Ap  # type: ignore[attr-defined]  # noqa: F401
