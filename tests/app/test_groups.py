"""Groups, mounts and hosts: what is added to them, and what goes around it in which order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest

from app.support import ask, get
from firstbyte import App, Endpoint, HTTPError, Request, Response
from firstbyte.app.params import Host
from firstbyte.app.registration import Group
from firstbyte.errors import ConfigurationError, RouteError
from firstbyte.http.request import Address


class Name(str):
    pass


class Greeting(str):
    pass


def marking(log: list[str], name: str) -> Any:
    """A middleware that notes when it is entered and left."""

    def around(request: Request) -> Any:
        log.append(name)
        response = yield
        log.append(f"/{name}")
        return response

    return around


def test_paths_go_on_behind_the_prefix() -> None:
    app = App()
    api = app.group("/api")
    api.get("/tasks/{id:int}")(lambda id: {"id": id})
    api.get("")(lambda: "without a slash")
    api.get("/")(lambda: "with one")
    api.group("/v1").get("/deep")(lambda: "deep")
    app.group().get("/plain")(lambda: "plain")
    assert get(app, "/api/tasks/5") == (200, b'{"id":5}')
    assert get(app, "/api") == (200, b"without a slash")
    assert get(app, "/api/") == (200, b"with one")
    assert get(app, "/api/v1/deep") == (200, b"deep")
    assert get(app, "/plain") == (200, b"plain")
    assert get(app, "/tasks/5")[0] == 404


def test_the_prefix_of_a_group_may_have_parameters() -> None:
    app = App()
    shop = app.group("/{shop}/{year:int}", name="shop")
    shop.get("/items/{id:int}", name="item")(lambda shop, year, id: [shop, year, id])
    shop.error(404)(lambda request, error: "not in this shop")
    assert get(app, "/a/2024/items/3") == (200, b'["a",2024,3]')
    assert app.url_for("shop.item", shop="a", year=1, id=2) == "/a/1/items/2"
    assert get(app, "/a/2024/none") == (404, b"not in this shop")
    assert get(app, "/a/none/none")[1] != b"not in this shop"


@pytest.mark.parametrize("prefix", ["api", "/api/", "/{rest:path}"])
def test_what_a_prefix_cannot_be(prefix: str) -> None:
    with pytest.raises(RouteError, match="prefix"):
        App().group(prefix)


def test_names_have_those_of_their_groups_before_them() -> None:
    app = App()
    v1 = app.group("/api", name="api").group("/v1", name="v1")

    @v1.get("/tasks")
    def tasks() -> str:
        return ""

    @app.get("/tasks", name="tasks")
    def others() -> str:
        return ""

    assert app.url_for("api.v1.tasks") == "/api/v1/tasks"
    assert app.url_for("tasks") == "/tasks"


def test_two_groups_cannot_have_the_same_route() -> None:
    app = App()
    app.group("/a").get("/x")(lambda: "")
    with pytest.raises(RouteError, match=r"GET /a/x is the route of both"):
        app.group("/a").get("/x")(lambda: "")


def test_the_order_of_middleware_is_that_of_the_groups_whenever_it_is_added() -> None:
    log: list[str] = []
    app = App(middleware=[marking(log, "app")])
    api = app.group("/api", middleware=[marking(log, "api")])
    v1 = api.group("/v1")
    v1.get("/", middleware=[marking(log, "route")])(lambda: log.append("handler"))
    app.get("/")(lambda: "")
    v1.middleware(marking(log, "v1"))
    api.middleware(marking(log, "api 2"))
    app.middleware(marking(log, "app 2"))
    ask(app, "GET", "/api/v1/")
    order = ["app", "app 2", "api", "api 2", "v1", "route"]
    assert log == [*order, "handler", *(f"/{name}" for name in reversed(order))]
    log.clear()
    ask(app, "GET", "/")
    assert log == ["app", "app 2", "/app 2", "/app"]


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/api/none", 404, b"api: 404"),
        ("PUT", "/api/x", 405, b"api: 405"),
        ("GET", "/api/fail", 500, b"api: division"),
        ("GET", "/api/v1/fail", 500, b"v1: any"),
        ("GET", "/none", 404, b"app: 404"),
        ("GET", "/apiary", 404, b"app: 404"),
        ("GET", "/fail", 500, b"app: any"),
        ("GET", "/api/v1/none", 404, b"api: 404"),
    ],
)
def test_error_handlers_of_the_innermost_group_come_first(method: str, path: str, status: int, body: bytes) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    app = App()
    app.error(404)(lambda request, error: "app: 404")
    app.error(ArithmeticError)(lambda request, error: ("app: any", 500))
    api = app.group("/api")
    api.error(404)(lambda request, error: "api: 404")
    api.error(405)(lambda request, error: "api: 405")
    api.error(ZeroDivisionError)(lambda request, error: ("api: division", 500))
    api.get("/x")(lambda: "")
    v1 = api.group("/v1")
    v1.error(ArithmeticError)(lambda request, error: ("v1: any", 500))
    for group in (app, api, v1):
        group.get("/fail")(fail)
    response = ask(app, method, path)
    assert (response.status, response.body) == (status, body)


def test_a_provider_of_a_group_stands_in_the_place_of_the_apps() -> None:
    app = App()

    @app.provide
    def plain() -> Name:
        return Name("plain")

    @app.provide
    def greeting(name: Name) -> Greeting:
        return Greeting(f"hello {name}")

    api = app.group("/api")

    @api.provide
    def special() -> Name:
        return Name("special")

    def both(name: Name, greeting: Greeting) -> str:
        return f"{name}, {greeting}"

    app.get("/")(both)
    api.get("/")(both)
    assert get(app, "/") == (200, b"plain, hello plain")
    assert get(app, "/api/") == (200, b"special, hello plain")  # who greets has asked for the app's
    with pytest.raises(ConfigurationError, match=r"special .* both provide"):
        api.provide(special)
    with api.override(Name, lambda: Name("test")):
        assert get(app, "/api/") == (200, b"test, hello plain")


def test_max_body_is_that_of_the_nearest() -> None:
    app = App(max_body=10)
    api = app.group("/api", max_body=20)
    app.post("/")(lambda: "")
    api.post("/")(lambda: "")
    api.group("/v1").post("/")(lambda: "")
    api.post("/own", max_body=None)(lambda: "")
    found = [app.resolve(Request.build("POST", path)).max_body for path in ("/", "/api/", "/api/v1/", "/api/own")]
    assert found == [10, 20, 20, None]


def test_a_mount_of_a_group_is_below_its_prefix_and_within_what_goes_around_it() -> None:
    log: list[str] = []
    inner = App()
    inner.get("/x")(lambda request: request.root_path)
    app = App()
    api = app.group("/api", middleware=[marking(log, "api")])
    api.error(404)(lambda request, error: "api: 404")
    api.mount("/inner", inner)
    assert get(app, "/api/inner/x") == (200, b"/api/inner")
    assert log == ["api", "/api"]
    everything = App()
    everything.group("/all").mount("/", inner)
    assert get(everything, "/all/x") == (200, b"/all")


def test_several_apps_each_have_their_own_error_handlers() -> None:
    app = App()
    for name in ("blog", "shop"):
        inner = App()
        inner.error(404)(lambda request, error, name=name: f"not in the {name}")
        app.mount(f"/{name}", inner)
    assert get(app, "/blog/x") == (404, b"not in the blog")
    assert get(app, "/shop/x") == (404, b"not in the shop")
    assert b"not in" not in get(app, "/x")[1]


# -- hosts


@pytest.fixture
def hosted() -> App:
    app = App()
    app.get("/")(lambda: "main")
    app.get("/about/{page}")(lambda page: f"about {page}")
    app.get("/both")(lambda: "everybody's")
    api = app.host("api.example.org", name="api")
    api.get("/")(lambda: "api")
    tenants = app.host("{tenant}.example.org", name="tenants")
    tenants.get("/", name="home")(lambda tenant: f"home of {tenant}")
    tenants.get("/items/{id:int}", name="item")(lambda tenant, id: f"{tenant} has {id}")
    tenants.post("/both")(lambda tenant: f"{tenant} posts")
    tenants.error(404)(lambda request, error: "no such page of a tenant")
    return app


@pytest.mark.parametrize(
    ("host", "path", "status", "body"),
    [
        ("example.org", "/", 200, b"main"),
        ("api.example.org", "/", 200, b"api"),
        ("API.example.org.:8000", "/", 200, b"api"),
        ("a.example.org", "/", 200, b"home of a"),
        ("A.Example.ORG:80", "/", 200, b"home of a"),
        ("a.example.org", "/items/5", 200, b"a has 5"),
        ("a.b.example.org", "/", 200, b"main"),
        ("not a host", "/", 200, b"main"),
        ("", "/", 200, b"main"),
        ("a.example.org", "/about/us", 200, b"about us"),
        ("a.example.org", "/both", 405, None),
        ("example.org", "/both", 200, b"everybody's"),
        ("example.org", "/items/5", 404, None),
        ("a.example.org", "/none", 404, b"no such page of a tenant"),
        ("example.org", "/none", 404, None),
        ("a.example.org", "/%ff", 400, None),
    ],
)
def test_routes_by_host(hosted: App, host: str, path: str, status: int, body: bytes | None) -> None:
    for _ in range(2):  # the second answer is remembered
        response = ask(hosted, "GET", path, Host=host)
        assert response.status == status
        if body is not None:
            assert response.body == body


def test_urls_of_a_host(hosted: App) -> None:
    assert hosted.url_for("tenants.item", tenant="a", id=3) == "//a.example.org/items/3"
    with pytest.raises(LookupError, match="needs a value for tenant"):
        hosted.url_for("tenants.home")
    for bad in ("a.b", "a/b", ""):
        with pytest.raises(LookupError, match="is no label for tenant"):
            hosted.url_for("tenants.home", tenant=bad)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("{a}.{a}.org", "twice"),
        ("x{a}.org", "whole label"),
        ("a.org:80", "port"),
        ("a b", "is no host"),
        ("", "is no host"),
    ],
)
def test_what_a_host_cannot_be(pattern: str, problem: str) -> None:
    with pytest.raises(RouteError, match=problem):
        App().host(pattern)


def test_what_a_host_may_be() -> None:
    app = App()
    for index, pattern in enumerate(("[::1]", "127.0.0.1", "bücher.example", "{a}.bücher.example")):
        app.host(pattern).get("/")(lambda index=index, **rest: str(index))
    for host, body in (("[0:0::1]:80", b"0"), ("127.0.0.1", b"1"), ("xn--bcher-kva.example", b"2")):
        assert get(app, "/", Host=host) == (200, body)
    assert get(app, "/", Host="a.xn--bcher-kva.example") == (200, b"3")


def test_a_host_has_groups_and_no_hosts() -> None:
    app = App()
    group = app.host("{a}.org").group("/x")
    group.get("/{b}")(lambda a, b: a + b)
    assert get(app, "/x/2", Host="1.org") == (200, b"12")
    with pytest.raises(RouteError, match="within the host"):
        group.host("b.org")
    with pytest.raises(RouteError, match="parameter a twice"):
        group.get("/again/{a}")(lambda a: a)


def test_mounts_by_host_and_by_network() -> None:
    def answering(text: str) -> Any:
        inner = App()
        inner.get("/x")(lambda: text)
        return inner

    app = App()
    app.mount("/", answering("everybody"))
    app.mount("/", answering("tenant"), host="{tenant}.example.org")
    app.mount("/", answering("inside"), networks="10.0.0.0/8,::1")

    def at(host: str, client: str | None) -> Any:
        request = Request.build("GET", "/x", {"Host": host}, client=None if client is None else Address(client, 1))
        return app.resolve(request).call(request).body

    assert at("example.org", "192.0.2.1") == b"everybody"
    assert at("example.org", None) == b"everybody"
    assert at("a.example.org", "192.0.2.1") == b"tenant"
    assert at("example.org", "10.2.3.4") == b"inside"
    assert at("example.org", "::ffff:10.2.3.4") == b"inside"


def test_what_is_mounted_is_told_of_the_host() -> None:
    inner = App()

    @inner.get("/")
    def home(tenant: Annotated[int, Host()]) -> str:
        return f"home of {tenant}"

    @inner.get("/items/{id:int}")
    def item(id: int, request: Request, owner: Annotated[str, Host("tenant")] = "nobody") -> str:
        return f"{id} of {owner}, {dict(request.host_params)}"

    app = App()
    app.mount("/shop", inner)
    app.mount("/", inner, host="{tenant}.{region}.example.org")
    assert get(app, "/", Host="1.eu.example.org:8000") == (200, b"home of 1")
    assert get(app, "/items/2", Host="a.eu.example.org") == (200, b"2 of a, {'tenant': 'a', 'region': 'eu'}")
    assert get(app, "/items/2", Host="a.eu.example.org", Accept="*/*")[0] == 200
    assert get(app, "/", Host="a.eu.example.org")[0] == 404  # it is no number
    assert get(app, "/shop/")[0] == 404
    assert get(app, "/shop/items/2") == (200, b"2 of nobody, {}")


@pytest.mark.parametrize("kind", [list[str], dict[str, str]])
def test_a_host_has_one_value_of_a_name(kind: Any) -> None:
    def home(tenant: Any) -> None:
        pass

    home.__annotations__["tenant"] = Annotated[kind, Host()]
    with pytest.raises(RouteError, match="tenant would be"):
        App().get("/")(home)


# -- request.url_for


def test_a_request_knows_the_urls_of_its_app() -> None:
    inner = App()
    inner.get("/x/{id:int}", name="x")(lambda request, id: request.url_for("x", id=id + 1))
    app = App()
    app.mount("/inner", inner)
    assert get(app, "/inner/x/1") == (200, b"/inner/x/2")
    with pytest.raises(LookupError, match="no app answers"):
        Request.build("GET", "/").url_for("x")


def test_a_request_knows_the_urls_of_other_hosts(hosted: App) -> None:
    request = Request.build("GET", "/", {"Host": "example.org:8000"}, scheme="https")
    hosted.resolve(request)
    assert request.url_for("tenants.item", tenant="a", id=3) == "https://a.example.org:8000/items/3"


def test_a_mounted_handler_that_is_no_app() -> None:
    class Plain:
        def resolve(self, request: Request) -> Endpoint:
            return Endpoint(lambda request: Response("plain"))

    app = App()
    app.group("/g").mount("/p", Plain())
    assert get(app, "/g/p/x") == (200, b"plain")


def test_an_app_is_a_group() -> None:
    def install(group: Group) -> Iterator[None]:
        group.get("/installed")(lambda: "here")
        yield

    for group in (App(), App().group("/api")):
        list(install(group))
        assert get(group.chain[0], f"{group.prefix}/installed") == (200, b"here")  # type: ignore[arg-type]


def test_errors_that_a_group_raises_on(caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    api = app.group("/api")

    def fail() -> None:
        raise HTTPError(418)

    api.get("/")(fail)
    app.error(418)(lambda request, error: "the app's")
    assert get(app, "/api/") == (418, b"the app's")
