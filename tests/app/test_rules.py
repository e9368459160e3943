"""Rules before the view: who is refused, with what, and before anything of the body is read."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.support import get
from firstbyte import App, HTTPError, Request, Response
from firstbyte.app.rules import (
    MemoryStore,
    Rule,
    allow_hosts,
    allow_networks,
    client_key,
    deny_networks,
    rate_limit,
    requires,
)
from firstbyte.errors import ConfigurationError, RouteError
from firstbyte.http.request import Address


def asked(rule: Rule, client: str | None = "192.0.2.1", **fields: str) -> HTTPError | None:
    """What a rule says of a request."""
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return rule(Request.build("GET", "/", headers, client=None if client is None else Address(client, 1)))


def status(error: HTTPError | None) -> int:
    return 200 if error is None else error.status


@pytest.mark.parametrize(
    ("options", "value", "expected"),
    [
        ({}, "anything", 200),
        ({}, "", 401),
        ({}, None, 401),
        ({"value": "secret"}, "secret", 200),
        ({"value": "secret"}, "secrets", 401),
        ({"value": "secret"}, None, 401),
        ({"value": ["one", "two"]}, "two", 200),
        ({"value": "gr\u00fcn"}, "gr\u00fcn".encode().decode("latin-1"), 200),
        ({"check": str.isdigit}, "12", 200),
        ({"check": str.isdigit}, "x", 401),
        ({"status": 403}, None, 403),
    ],
)
def test_requires(options: dict[str, Any], value: str | None, expected: int) -> None:
    rule = requires(header="X-Token", **options)
    error = asked(rule) if value is None else asked(rule, X_Token=value)
    assert status(error) == expected
    if error is not None:
        assert ("WWW-Authenticate" in error.headers) == (expected == 401)


def test_the_challenge_of_a_401() -> None:
    error = asked(requires(header="Authorization"))
    assert error is not None
    assert error.headers["WWW-Authenticate"] == "Bearer"
    error = asked(requires(header="X-Token", challenge="Token"))
    assert error is not None
    assert error.headers["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"header": "no name"}, "no name of a header field"),
        ({"header": "X", "value": ""}, "is a variable unset"),
        ({"header": "X", "value": []}, "is a variable unset"),
        ({"header": "X", "value": "a", "check": str.isdigit}, "not both"),
    ],
)
def test_what_cannot_be_required(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        requires(**options)


@pytest.mark.parametrize(
    ("rule", "client", "expected"),
    [
        (allow_networks("10.0.0.0/8,::1,unix"), "10.1.2.3", 200),
        (allow_networks("10.0.0.0/8,::1,unix"), "::1", 200),
        (allow_networks("10.0.0.0/8,::1,unix"), "unix", 200),
        (allow_networks("10.0.0.0/8,::1,unix"), "::ffff:10.1.2.3", 200),
        (allow_networks("10.0.0.0/8,::1,unix"), "11.0.0.1", 403),
        (allow_networks("10.0.0.0/8,::1,unix"), None, 403),
        (allow_networks("2001:db8::/32"), "2001:db8:1::9", 200),
        (deny_networks("10.0.0.0/8"), "10.1.2.3", 403),
        (deny_networks("10.0.0.0/8"), "::ffff:10.1.2.3", 403),
        (deny_networks("10.0.0.0/8"), "11.0.0.1", 200),
        (deny_networks("10.0.0.0/8"), None, 403),  # whoever it is
    ],
)
def test_networks(rule: Rule, client: str | None, expected: int) -> None:
    assert status(asked(rule, client)) == expected


def test_hosts() -> None:
    rule = allow_hosts("example.org,*.example.org")
    assert status(asked(rule, Host="a.example.org:80")) == 200
    assert status(asked(rule, Host="evil.example")) == 421
    assert status(asked(rule)) == 421


# -- where they stand


def refusing(status: int) -> Any:
    return lambda request: HTTPError(status)


@pytest.mark.parametrize("where", ["route", "group", "app", "app later"])
def test_a_rule_is_asked_before_the_body_is_read(where: str) -> None:
    calls: list[str] = []
    rule = requires(header="X-Token")
    app = App(rules=[rule] if where == "app" else [])
    group = app.group("/g", rules=[rule] if where == "group" else [])
    group.post("/", rules=[rule] if where == "route" else [])(lambda: calls.append("called"))
    if where == "app later":
        app.rule(rule)
    request = Request.build("POST", "/g/", body=b"x")
    endpoint = app.resolve(request)
    assert endpoint.streams_body
    assert endpoint.rule == "requires X-Token"
    assert endpoint.call(request).status == 401
    request = Request.build("POST", "/g/", {"X-Token": "x"}, body=b"x")
    endpoint = app.resolve(request)
    assert not endpoint.streams_body
    assert (endpoint.rule, endpoint.call(request).status, calls) == ("", 204, ["called"])


def test_the_apps_rules_come_first_then_the_groups_then_the_routes() -> None:
    log: list[str] = []

    def noting(name: str) -> Any:
        return lambda request: log.append(name)

    app = App()
    group = app.group("/g", rules=[noting("group")])
    group.get("/{x}", rules=[noting("route")])(lambda x: x)
    app.rule(noting("app"))
    assert get(app, "/g/1") == (200, b"1")
    assert log == ["app", "group", "route"]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/none", 404),
        ("GET", "/g/none", 403),
        ("PUT", "/g/x", 403),
        ("OPTIONS", "/g/x", 403),
        ("GET", "/g/x/", 403),
        ("GET", "/g/%ff", 403),
        ("GET", "/g/m/x", 403),
        ("GET", "/g/m", 403),
        ("GET", "/open", 200),
        ("OPTIONS", "*", 204),
    ],
)
def test_the_rules_of_a_group_stand_before_all_that_is_below_it(method: str, path: str, expected: int) -> None:
    """Or who is refused could find out what is there."""
    app = App()
    app.get("/open")(lambda: "")
    group = app.group("/g", rules=[refusing(403)])
    group.get("/x")(lambda: "")
    inner = App()
    inner.get("/x")(lambda: "")
    group.mount("/m", inner)
    request = Request.build(method, path)
    assert app.resolve(request).call(request).status == expected


def test_a_mounted_handler_never_sees_what_is_refused() -> None:
    class Mounted:
        def resolve(self, request: Request) -> Any:
            raise AssertionError

    app = App(rules=[refusing(403)])
    app.mount("/m", Mounted())
    assert get(app, "/m/x")[0] == 403
    assert get(app, "*")[0] == 403


def test_error_handlers_and_middleware_go_around_a_refusal() -> None:
    app = App(rules=[requires(header="X-Token")])
    app.error(401)(lambda request, error: f"who are you: {error.detail}")
    api = app.group("/api")
    api.error(401)(lambda request, error: "api: who are you")
    app.get("/")(lambda: "")
    api.get("/")(lambda: "")

    @app.middleware
    def preflight(request: Request) -> Any:
        if request.method == "OPTIONS":
            return "", 200
        response = yield
        response.headers["X-Seen"] = str(request.refusal is not None)
        return response

    request = Request.build("GET", "/")
    response = app.resolve(request).call(request)
    assert (response.status, response.body) == (401, b"who are you: the request must have X-Token")
    assert response.headers["WWW-Authenticate"] == 'ApiKey header="X-Token"'
    assert response.headers["X-Seen"] == "True"
    assert get(app, "/api/") == (401, b"api: who are you")
    request = Request.build("OPTIONS", "/")
    assert app.resolve(request).call(request).status == 200


@pytest.mark.parametrize(("error", "expected"), [(HTTPError(403), 403), (ZeroDivisionError("broken"), 500)])
def test_a_rule_that_raises_refuses(error: Exception, expected: int, caplog: pytest.LogCaptureFixture) -> None:
    app = App()

    @app.rule
    def broken(request: Request) -> HTTPError | None:
        raise error

    app.get("/")(lambda: "in")
    with caplog.at_level(logging.ERROR):
        assert get(app, "/")[0] == expected
    assert ("broken" in caplog.text) == (expected == 500)


def test_what_is_too_long_is_refused_before_it_is_read_and_answered_by_the_app() -> None:
    app = App(max_body=10)
    api = app.group("/api", max_body=20)
    for group in (app, api):
        group.post("/")(lambda: "taken")

    @api.error(413)
    def too_long(request: Request, error: HTTPError) -> tuple[dict[str, str], int]:
        return {"error": error.detail}, 413

    def send(path: str, length: str) -> tuple[int, object]:
        response = app.resolve(request := Request.build("POST", path, {"Content-Length": length})).call(request)
        return response.status, response.body

    assert [send("/", length)[0] for length in ("10", "11")] == [200, 413]
    assert [send("/api/", length)[0] for length in ("20", "9" * 18)] == [200, 413]
    assert send("/api/", "21") == (413, b'{"error":"the body is longer than 20 bytes"}')
    refusing = app.resolve(Request.build("POST", "/", {"Content-Length": "11"}))
    assert (refusing.rule, refusing.streams_body) == ("max-body 10", True)


def test_a_function_is_a_rule_by_its_name() -> None:
    app = App()

    @app.rule
    def no_bots(request: Request) -> HTTPError | None:
        return HTTPError(403) if "bot" in request.headers.get("user-agent", "") else None

    app.get("/")(lambda: "")
    request = Request.build("GET", "/", {"User-Agent": "a bot"})
    assert app.resolve(request).rule.endswith("no_bots")
    assert get(app, "/")[0] == 200


async def _waits(request: Request) -> None: ...


@pytest.mark.parametrize("rule", [_waits, "text", requires])
def test_what_is_no_rule(rule: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"rule"):
        App().rule(rule)
    with pytest.raises(ConfigurationError, match=r"rule"):
        App().get("/", rules=[rule])(lambda: "")


def test_paths_without_rules_are_still_one_look_up() -> None:
    app = App()
    app.get("/free")(lambda: "")
    app.get("/ruled", rules=[refusing(403)])(lambda: "")
    assert not app.is_async
    assert app._built is not None
    assert set(app._built.static) == {"/free"}


# -- how often


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_rate_is_limited_for_each_client() -> None:
    clock = Clock()
    rule = rate_limit(2, 10, store=MemoryStore(clock=clock))
    assert [status(asked(rule, "192.0.2.1")) for _ in range(3)] == [200, 200, 429]
    assert status(asked(rule, "192.0.2.2")) == 200
    error = asked(rule, "192.0.2.1")
    assert error is not None
    assert error.headers["Retry-After"] == "11"  # a little more than the 10 that are left
    clock.now += 20
    assert status(asked(rule, "192.0.2.1")) == 200


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 5))
def test_who_waits_as_long_as_told_is_let_through(pauses: list[float], limit: int) -> None:
    """And never more than twice the limit pass in any span of the length, which two counters promise."""
    clock = Clock()
    store = MemoryStore(clock=clock)
    passed: list[float] = []
    for pause in pauses:
        clock.now += pause
        wait = store.hit("key", limit, 10.0)
        if wait:
            assert 0 < wait < 21
            clock.now += wait
            assert store.hit("key", limit, 10.0) == 0.0
        passed.append(clock.now)
    for moment in passed:
        assert sum(moment <= other < moment + 10 for other in passed) <= 2 * limit


def test_the_table_is_bounded_and_remembers_who_comes_again() -> None:
    clock = Clock()
    store = MemoryStore(10, clock)
    for number in range(100):
        store.hit("regular", 1000, 10)
        store.hit(str(number), 1, 10)
    assert len(store._recent) + len(store._older) <= 10
    assert store._recent.get(("regular", 1000, 10), store._older.get(("regular", 1000, 10))).passed == 100  # type: ignore[union-attr]


def test_a_key_that_a_client_makes_long_is_not_kept() -> None:
    store = MemoryStore()
    waits = [store.hit("x" * 100_000 + end, 1, 10) for end in ("a", "b", "a")]
    assert [wait > 0 for wait in waits] == [False, False, True]
    assert max(len(key) for key, _, _ in store._recent) < 100


@pytest.mark.parametrize(
    ("client", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "20010db800000000::/64"),
        ("2001:db8::ffff:1", "20010db800000000::/64"),
        ("2001:db8:0:1::1", "20010db800000001::/64"),
        ("unix", "unix"),
        ("fe80::1%eth0", "fe80000000000000::/64"),
        ("::1", "::1"),
    ],
)
def test_of_ipv6_a_whole_network_counts_as_one_client(client: str, key: str) -> None:
    request = Request.build("GET", "/", client=Address(client, 1))
    assert client_key(request) == key or int(client_key(request).partition("::/64")[0], 16) == int(key[:16], 16)


def test_whose_requests_count_together_can_be_said() -> None:
    rule = rate_limit(1, by=lambda request: request.headers.get("x-key"))
    assert [status(asked(rule, X_Key="a")) for _ in range(2)] == [200, 429]
    assert status(asked(rule, X_Key="b")) == 200
    assert [status(asked(rule)) for _ in range(3)] == [200] * 3  # None is not counted


@pytest.mark.parametrize(("limit", "seconds"), [(0, 1), (1, 0), (1, -1)])
def test_what_a_rate_cannot_be(limit: int, seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="rate limit"):
        rate_limit(limit, seconds)


# -- how long


def test_a_coroutine_that_takes_too_long_is_cancelled_and_answered_for() -> None:
    ended: list[str] = []
    app = App(time_limit=0.01)
    app.error(503)(lambda request, error: f"sorry: {error.detail}")

    @app.get("/slow")
    async def slow() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("slow")
        return ""

    @app.get("/own")
    async def own() -> str:
        raise TimeoutError("of its own")

    @app.get("/fast", time_limit=None)
    async def fast() -> str:
        return "fast"

    @app.get("/plain")
    def plain() -> str:
        return "plain"

    def answer(path: str) -> Response:
        request = Request.build("GET", path)
        endpoint = app.resolve(request)

        async def call() -> Response:
            result = endpoint.call(request)
            return await result if endpoint.is_async else result

        return asyncio.run(call())

    response = answer("/slow")
    assert (response.status, response.body) == (503, b"sorry: this took longer than the 0.01 s that it may")
    assert ended == ["slow"]
    assert answer("/own").status == 500
    assert answer("/fast").body == b"fast"
    assert answer("/plain").body == b"plain"


def test_a_thread_cannot_be_stopped() -> None:
    with pytest.raises(RouteError, match="cannot be stopped"):
        App().get("/", time_limit=1)(lambda: "")
