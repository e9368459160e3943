"""Every case of the documents, whole, byte by byte, and with other data behind it."""

from __future__ import annotations

import pytest

from wire.documents import Case, cases, run, tell

CASES = list(cases())
NEXT = b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_whole(case: Case) -> None:
    assert tell(run([case.data]), case.expected) == case.expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_byte_by_byte(case: Case) -> None:
    pieces = [case.data[at : at + 1] for at in range(len(case.data))]
    assert tell(run(pieces), case.expected) == case.expected


@pytest.mark.parametrize(
    "case", [case for case in CASES if "incomplete" not in case.expected], ids=lambda case: case.name
)
def test_with_trailing_data(case: Case) -> None:
    if case.refused:
        assert tell(run([case.data + b"\x00\xff garbage\r\n\r\n"]), case.expected) == case.expected
    else:
        outcome = run([case.data + NEXT])
        assert str(outcome.messages[-1]) == "GET /next HTTP/1.1 keep-alive"
        outcome.messages.pop()
        assert tell(outcome, case.expected) == case.expected


def test_there_are_enough_cases_and_half_are_refused() -> None:
    assert len(CASES) >= 150
    assert sum(case.refused for case in CASES) * 2 >= len(CASES)


def test_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
