"""What a server settles for its process."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from firstbyte.engine import _sys
from firstbyte.engine.server import YOUNG, collect_later


@pytest.fixture
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.parametrize(("chosen", "then"), [(700, YOUNG), (500, 500), (50_000, 50_000), (0, 0)])
def test_the_collector_looks_later_unless_somebody_has_chosen(thresholds: None, chosen: int, then: int) -> None:
    gc.set_threshold(chosen, 7, 8)
    collect_later()
    assert gc.get_threshold() == (then, 7, 8)


class Told:
    """In the place of the compiled body."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def keep_memory(self, large: int, kept: int) -> None:
        self.sizes.append((large, kept))


@pytest.mark.parametrize("name", ["", "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_memory_is_kept_unless_the_environment_says_how(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for each in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(each, raising=False)
    if name:
        monkeypatch.setenv(name, "1")
    told = Told()
    monkeypatch.setattr(_sys, "_native", told)
    _sys.keep_memory()
    assert told.sizes == ([(_sys.LARGE, _sys.KEPT)] if name in ("", "MALLOC_ARENA_MAX") else [])


def test_plain_python_leaves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sys, "_native", None)
    _sys.keep_memory()
