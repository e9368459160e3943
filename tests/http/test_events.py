"""Events as they are written, which the client's parser reads back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.client.events import EventParser
from firstbyte.http.events import Event

LINE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=("Cs",)))


@given(st.text(st.characters(exclude_categories=("Cs",))), LINE, LINE, st.none() | st.integers(0, 10**6))
def test_what_is_written_is_read(data: str, event: str, identifier: str, retry: int | None) -> None:
    written = Event(data, event or "message", identifier, retry)
    (read,) = EventParser().feed(written.encode())
    lines = re.sub("\r\n|\r", "\n", data)
    assert read == Event(lines, event or "message", identifier, retry)


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b"])
def test_what_no_line_can_have_is_refused(field: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"the {field} of an event must be one line"):
        Event("x", **{field: value}).encode()


def test_json() -> None:
    assert Event.json({"a": [1]}, "added", "7").encode() == b'event: added\nid: 7\ndata: {"a":[1]}\n\n'
