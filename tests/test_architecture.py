"""Holds docs/architecture.md to the code: the import table, the life of a request, the size of modules."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "firstbyte"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 560  # lines of a module, with its docstrings


def import_table() -> dict[str, set[str]]:
    """Floor -> the floors it may import, as the page says."""
    table = {}
    for floor, allowed in re.findall(r"^\| `(\w+)` \| ([^|]*) \|", PAGE, re.MULTILINE):
        if allowed.startswith(("`", "nothing", "everything")):
            table[floor] = {"*"} if allowed.strip() == "everything" else set(re.findall(r"`(\w+)`", allowed))
    return table


def floor_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_floors(path: Path) -> set[str]:
    floors = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            names = [node.module or ""]
            if node.module == "firstbyte":
                names = [f"firstbyte.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        floors |= {name.split(".")[1] for name in names if name.startswith("firstbyte.")}
    return floors


def test_the_page_has_the_table() -> None:
    assert {"errors", "http", "wire", "engine", "app", "cli"} <= import_table().keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_floor_may(path: Path) -> None:
    floor = floor_of(path)
    if floor in ("__init__", "__main__", "_compiled"):
        return  # the package's front door opens on every floor
    table = import_table()
    assert floor in table, f"the floor {floor} is missing in the table of docs/architecture.md"
    if "*" not in table[floor]:
        assert imported_floors(path) <= table[floor] | {floor, "_lazy"}


@pytest.mark.parametrize(
    ("floors", "banned"),
    [
        (("errors", "http", "wire"), {"socket", "select", "selectors", "threading", "asyncio", "time"}),
        (("app",), {"socket", "select", "selectors", "threading"}),
    ],
)
def test_floors_below_the_engine_know_no_sockets_clocks_or_threads(floors: tuple[str, ...], banned: set[str]) -> None:
    for path in MODULES:
        if floor_of(path) in floors:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names = {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    # gmtime turns a given number into a date: no clock is read.
                    names = set() if node.module == "time" and node.names[0].name == "gmtime" else {node.module or ""}
                    if path.name == "send_file.py":
                        names -= {"time"}  # the exception that the page names
                else:
                    continue
                assert not names & banned, path


def life_of_a_request(section: str = "## The life of a request") -> list[tuple[str, str]]:
    block = PAGE.split(section)[1].split("```")[1]
    return re.findall(r"^ *([A-Za-z_.]+) +(\w+/\w+\.py)", block, re.MULTILINE)


_NAMED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@pytest.mark.parametrize(
    ("name", "file"), life_of_a_request() + life_of_a_request("## The life of a call"), ids=lambda value: str(value)
)
def test_every_name_in_the_life_of_a_request_exists(name: str, file: str) -> None:
    # By the source: what is compiled shows its private methods to nobody.
    body: list[ast.stmt] = ast.parse((PACKAGE / file).read_text()).body
    for part in name.split("."):
        (found,) = [node for node in body if isinstance(node, _NAMED) and node.name == part]
        body = found.body


def test_the_life_of_a_request_is_told() -> None:
    assert len(life_of_a_request()) > 20
    assert len(life_of_a_request("## The life of a call")) > 10


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_one_idea_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


def test_where_to_change_names_files_that_exist() -> None:
    section = PAGE.split("## Where do I change")[1]
    files = re.findall(r"`(\w+/\w+\.py)`", section)
    assert len(files) > 10
    for file in files:
        assert (PACKAGE / file).is_file(), file
