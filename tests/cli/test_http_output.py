"""What the HTTP commands print."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.cli.http_output import (
    Phase,
    exit_code,
    format_head,
    format_json,
    format_seconds,
    visible,
    waterfall,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("status", "code"), [(101, 0), (200, 0), (204, 0), (301, 0), (304, 0), (400, 4), (404, 4), (500, 5), (599, 5)]
)
def test_exit_codes(status: int, code: int) -> None:
    assert exit_code(status) == code


@given(JSON, st.booleans(), st.booleans())
def test_json_keeps_its_meaning(value: Any, ascii_only: bool, colour: bool) -> None:
    text = format_json(json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "replace"), colour)
    expected = json.dumps(value).encode("utf-8")
    plain = re.sub(r"\\x([0-9a-f]{2})", r"\\u00\1", click.unstyle(text))  # how C1 controls are shown
    if "\ufffd" not in plain:
        assert json.loads(plain) == json.loads(expected)


def test_json_as_it_is_shown() -> None:
    data = rb'{"id":1,"n":1.10,"big":123456789012345678901,"t":"caf\u00e9 \u001b[31m","a":[],"b":[true,null],"id":2}'
    assert format_json(data) == "\n".join(
        [
            "{",
            '  "id": 1,',
            '  "n": 1.10,',
            '  "big": 123456789012345678901,',
            r'  "t": "café \u001b[31m",',
            '  "a": [],',
            '  "b": [',
            "    true,",
            "    null",
            "  ],",
            '  "id": 2',
            "}",
        ]
    )


def test_json_in_colour() -> None:
    blue, green, cyan, magenta, off = "\x1b[34m", "\x1b[32m", "\x1b[36m", "\x1b[35m", "\x1b[0m"
    assert format_json(b'{"a:1":"true","b":-1.5e3,"c":null}', colour=True) == (
        f'{{\n  {blue}"a:1"{off}: {green}"true"{off},\n  {blue}"b"{off}: {cyan}-1.5e3{off},\n'
        f'  {blue}"c"{off}: {magenta}null{off}\n}}'
    )


@pytest.mark.parametrize("data", [b"", b"nope", b'{"a":}', b"[1,2", rb'"\ud800"', b'"\xff"', b"[" * 100_000])
def test_what_is_no_json(data: bytes) -> None:
    with pytest.raises(ValueError):
        format_json(data)


def test_nothing_that_a_terminal_obeys_is_left() -> None:
    assert visible("a\x1b[2J\x07\x9b\x7f\u202eb\r\n\tc") == "a\\x1b[2J\\x07\\x9b\\x7f\\u202eb\\x0d\n\tc"
    assert "\x1b" not in format_json('"\x9b31m\u202e"'.encode())


def test_heads() -> None:
    fields = [("Content-Type", "text/html"), ("X-Bad", "\x1b[31m")]
    assert format_head("HTTP/1.1 404 Not Found", fields) == (
        "HTTP/1.1 404 Not Found\nContent-Type: text/html\nX-Bad: \\x1b[31m"
    )
    coloured = format_head("HTTP/1.1 404 Not Found", fields, colour=True)
    assert "\x1b[33m\x1b[1m404\x1b[0m" in coloured
    assert "\x1b[36mContent-Type\x1b[0m: text/html" in coloured


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0.00 ms"), (0.00012, "0.12 ms"), (0.0123, "12.3 ms"), (1.234, "1.23 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_a_waterfall() -> None:
    phases = [Phase("resolve", 0, 0.001), Phase("connect", 0.001, 0.005), Phase("sent", 0.005, 0.0051)]
    phases += [Phase("wait", 0.0051, 0.009), Phase("receive", 0.009, 0.01)]
    assert waterfall(phases, width=20).splitlines() == [
        "resolve     1.0 ms  ██",
        "connect     4.0 ms    ████████",
        "sent       0.10 ms            █",
        "wait        3.9 ms            ████████",
        "receive     1.0 ms                    ██",
        "total      10.0 ms",
    ]


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=7), st.integers(1, 100))
def test_a_waterfall_stays_in_its_width(times: list[float], width: int) -> None:
    times.sort()
    phases = [Phase("p", begin, end) for begin, end in pairwise(times)]
    for line, phase in zip(waterfall(phases, width=width).splitlines(), phases, strict=False):
        assert len(line.partition("s  ")[2]) <= width
        assert ("█" in line) == (phase.end > phase.begin)


def test_a_waterfall_of_nothing() -> None:
    assert waterfall([]) == "total    0.00 ms"
