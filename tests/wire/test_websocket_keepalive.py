"""When a silent peer is pinged and given up."""

from __future__ import annotations

from math import inf

from firstbyte.wire.websocket.keepalive import LOST, PING, WAIT, KeepAlive


def test_a_silent_peer_is_pinged_and_given_up() -> None:
    alive = KeepAlive(100.0, interval=20.0, timeout=5.0)
    assert alive.deadline == 120.0
    assert alive.due(119.9) == WAIT
    assert alive.due(120.0) == PING
    assert alive.deadline == 125.0
    assert alive.due(124.9) == WAIT
    assert alive.due(125.0) == LOST


def test_whatever_comes_is_a_sign_of_life() -> None:
    alive = KeepAlive(0.0, interval=20.0, timeout=5.0)
    alive.heard(10.0)
    assert alive.due(29.0) == WAIT
    assert alive.due(30.0) == PING
    alive.heard(34.9)
    assert alive.due(35.0) == WAIT
    assert alive.deadline == 54.9
    assert alive.due(55.0) == PING


def test_without_an_interval_nobody_is_pinged() -> None:
    alive = KeepAlive(0.0, interval=None)
    assert alive.deadline == inf
    alive.heard(1e9)
    assert alive.due(1e12) == WAIT
