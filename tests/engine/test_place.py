"""Where a body of known length is received."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.engine._sys import Place

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1), st.integers(min_value=0, max_value=3), st.binary())
def test_it_holds_what_came_and_no_more(pieces: list[bytes], count_put: int, next_request: bytes) -> None:
    body = b"".join(pieces)
    place = Place(len(body))
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        for piece in pieces[:count_put]:
            place.put(piece)
        theirs.sendall(b"".join(pieces[count_put:]) + next_request)
        received = 0
        while place.left:
            left = place.left
            received += (count := place.receive(ours.fileno()))
            assert place.left == left - count
        assert received == sum(map(len, pieces[count_put:]))
        assert place.take() == body
        theirs.close()
        assert b"".join(iter(lambda: ours.recv(4096), b"")) == next_request


def test_nothing_has_come_or_will_come(pair: Pair) -> None:
    ours, theirs = pair
    place = Place(10)
    with pytest.raises(BlockingIOError):
        place.receive(ours.fileno())
    theirs.send(b"12345")
    assert place.receive(ours.fileno()) == 5
    theirs.close()
    assert place.receive(ours.fileno()) == 0
    assert place.left == 5


def test_the_other_end_is_gone(pair: Pair) -> None:
    ours, _ = pair
    ours.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        Place(1).receive(7_777_777)
