"""Runs the Python blocks of every page of docs/ and of the READMEs, each page's blocks in order in one namespace."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
NOT_PROGRAMS = {"architecture.md"}  # its blocks are excerpts of the package
PAGES = [page for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")] if BLOCK.search(page.read_text())]


@pytest.mark.parametrize("page", [p for p in PAGES if p.name not in NOT_PROGRAMS], ids=lambda page: page.name)
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    namespace: dict[str, object] = {"__name__": "page"}
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        source = "\n" * line + match[1]  # so that a traceback names the page's own line
        code = compile(source, str(page), "exec", dont_inherit=True)
        exec(code, namespace)
    namespace.clear()
    gc.collect()  # so that what a page leaves open is told of here, and not in the test that runs when it is collected


def test_pages_are_there() -> None:
    assert {"README.md", "README.zh-CN.md", "app.md", "server.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]), ids=lambda page: page.name
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_tutorial_points_at_modules_that_exist() -> None:
    modules = re.findall(r"`(\w+/\w+\.py)`", (ROOT / "docs" / "tutorial.md").read_text())
    assert len(modules) > 15
    for module in modules:
        assert (ROOT / "src" / "firstbyte" / module).is_file(), module
