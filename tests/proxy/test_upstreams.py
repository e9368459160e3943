"""Which server is next, and which are left alone: by a clock of the test's own."""

from __future__ import annotations

import threading

import pytest

from client.support import MakeRaw
from engine.support import WAIT
from firstbyte.proxy import HealthCheck
from firstbyte.proxy.upstreams import FAIL_TIMEOUT, Upstream, Upstreams, leaves_its_folder
from proxy.support import Proxied, ask
from proxy.support import Upstream as Raw


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def three() -> tuple[Upstreams, Clock, list[Upstream]]:
    clock = Clock()
    upstreams = Upstreams([Upstream.parse(f"http://{name}") for name in "abc"], clock)
    return upstreams, clock, upstreams.members


def chosen(upstreams: Upstreams, times: int = 9) -> set[str]:
    return {each.url.host for each in (upstreams.choose() for _ in range(times)) if each is not None}


def test_they_take_turns_where_they_have_as_much_to_do() -> None:
    upstreams, _, _ = three()
    assert chosen(upstreams, 3) == {"a", "b", "c"}


def test_the_one_with_least_to_do_is_next() -> None:
    upstreams, _, (a, b, c) = three()
    a.active, b.active, c.active = 2, 1, 3
    assert chosen(upstreams) == {"b"}
    b.active = 2
    assert chosen(upstreams) == {"a", "b"}


def test_one_that_fails_rests_until_its_time_is_over_or_it_has_answered() -> None:
    upstreams, clock, (a, b, c) = three()
    b.active = c.active = 5
    upstreams.failed(a, "a test")
    assert chosen(upstreams) == {"b", "c"}
    clock.now += FAIL_TIMEOUT
    assert chosen(upstreams) == {"a"}
    upstreams.failed(a, "a test")
    upstreams.answered(a)
    assert chosen(upstreams) == {"a"}


def test_where_all_rest_all_are_asked() -> None:
    upstreams, _, members = three()
    for each in members:
        upstreams.failed(each, "a test")
    assert chosen(upstreams) == {"a", "b", "c"}


def test_sick_ones_and_those_that_were_tried_are_not_asked() -> None:
    upstreams, _, (a, b, c) = three()
    b.is_sick = True
    assert chosen(upstreams) == {"a", "c"}
    assert upstreams.choose([a]) is c
    assert upstreams.choose([a, c]) is None


def test_a_single_one_does_not_rest() -> None:
    upstreams = Upstreams([Upstream.parse("http://a")])
    (a,) = upstreams.members
    upstreams.failed(a, "a test")
    assert upstreams.choose() is a
    assert upstreams.choose([a]) is None


@pytest.mark.parametrize(
    ("path", "leaves"),
    [
        ("/a/b", False),
        ("/a/..b/.c/d..", False),
        ("/a/...", False),
        ("/a;b/c%2fd", False),
        ("/..", True),
        ("/a/../b", True),
        ("/a/./b", True),
        ("/a/%2E./b", True),
        ("/a/..%2fb", True),
        ("/a%2f..%2Fb", True),
        ("/a/..%5cb", True),
        ("/a\\..\\b", True),
        ("/a/..;x/b", True),
        ("/a/..%00/b", True),
    ],
)
def test_paths_that_leave(path: str, leaves: bool) -> None:
    assert leaves_its_folder(path) is leaves


def test_the_health_of_servers_is_looked_after(proxied: Proxied, raw: MakeRaw) -> None:
    well = Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")
    sick = Raw(b"HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nb")
    health = HealthCheck("/health", interval=0.01, fall=2, rise=2)
    proxy = proxied(raw(well), raw(sick), health=health)
    upstream = proxy.server.reactor.handler.upstreams.members[1]
    wait_until(lambda: upstream.is_sick)
    assert {ask(proxy.client())[2] for _ in range(6)} == {b"a"}
    assert sick.heads[0][0] == "GET /health HTTP/1.1"
    sick.answer = b"HTTP/1.1 302 Yes\r\nContent-Length: 1\r\n\r\nb"
    wait_until(lambda: not upstream.is_sick)
    assert {ask(proxy.client())[2] for _ in range(6)} == {b"a", b"b"}


def test_where_all_are_sick_nobody_is_asked(proxied: Proxied) -> None:
    proxy = proxied("http://127.0.0.1:9", health=HealthCheck("/", interval=0.01, fall=1))
    wait_until(lambda: proxy.server.reactor.handler.upstreams.members[0].is_sick)
    status, _, body = ask(proxy.client())
    assert status == 503 and b"No server behind this one is well" in body


@pytest.mark.parametrize("settings", [{"path": "x"}, {"path": "/", "interval": 0}, {"path": "/", "fall": 0}])
def test_what_is_no_health_check_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="health check"):
        HealthCheck(**settings)  # type: ignore[arg-type]


def wait_until(condition: object) -> None:
    pause = threading.Event()
    for _ in range(int(WAIT / 0.01)):
        if condition():  # type: ignore[operator]
            return
        pause.wait(0.01)
    raise AssertionError("it did not come")
