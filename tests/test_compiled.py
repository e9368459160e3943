"""Which modules run compiled, and that the leg of the tests that says so really is."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import firstbyte
from firstbyte._compiled import compiled_modules

ROOT = Path(__file__).parent.parent
PURE = os.environ.get("FIRSTBYTE_PURE") == "1"
REQUIRED = os.environ.get("FIRSTBYTE_REQUIRE_COMPILED") == "1"


def listed(table: str = "COMPILED") -> list[str]:
    """The modules of a table of setup.py."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == table:
            return [f"firstbyte.{name.replace('/', '.')}" for name in ast.literal_eval(node.value)]
    raise AssertionError(f"setup.py has no {table}")


@pytest.mark.parametrize("name", listed())
def test_a_listed_module_runs_as_this_leg_says(name: str) -> None:
    module = importlib.import_module(name)
    if PURE:
        assert name not in compiled_modules()
        assert (module.__file__ or "").endswith(".py")
    elif REQUIRED:
        assert name in compiled_modules()


@pytest.mark.parametrize("name", listed("NATIVE"))
def test_a_second_body_is_there_where_this_leg_says(name: str) -> None:
    if PURE:
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)
    elif REQUIRED:
        assert importlib.import_module(name).__name__ in compiled_modules()


@pytest.mark.parametrize("name", listed("REUSED"))
def test_what_is_used_again_has_no_finalizer(name: str) -> None:
    """Of an object that Cython uses again it is called the first time alone."""
    assert name in listed()
    source = (ROOT / "src" / name.replace(".", "/")).with_suffix(".py").read_text()
    assert "def __del__" not in source


def test_the_package_says_which_leg_runs() -> None:
    assert firstbyte.compiled is bool(compiled_modules())
    if PURE:
        assert not firstbyte.compiled
    if REQUIRED:
        assert firstbyte.compiled


def test_every_declaration_belongs_to_a_listed_module() -> None:
    declared = [path.with_suffix("").relative_to(ROOT / "src") for path in ROOT.glob("src/**/*.pxd")]
    assert {str(path).replace("/", ".") for path in declared} <= {*listed(), *listed("NATIVE")}


@pytest.mark.parametrize("path", [path for end in ("pxd", "pyx") for path in sorted((ROOT / "src").rglob(f"*.{end}"))])
def test_what_is_compiled_is_in_the_packages(path: Path) -> None:
    """In the source distribution too, from which wheels are built: without one, what cimports it cannot be imported."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())
    globs = configuration["tool"]["setuptools"]["package-data"]["firstbyte"]
    assert any(path in (ROOT / "src" / "firstbyte").glob(each) for each in globs)


def test_plain_python_can_always_be_asked_for() -> None:
    code = "import firstbyte, firstbyte.engine.connection as c; print(firstbyte.compiled, c.__file__.endswith('.py'))"
    environment = {**os.environ, "FIRSTBYTE_PURE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["False", "True"]
