"""Handlers within an app, under a prefix of their own."""

from __future__ import annotations

from typing import Any

import pytest

from app.support import ask, get
from firstbyte import App, Endpoint, HTTPError, Request, Response
from firstbyte.errors import RouteError


def test_mounts() -> None:
    inner = App()
    inner.add_route("/", lambda request: f"inner {request.root_path} {request.target}")
    inner.add_route("/{x}", lambda x: f"inner {x}")
    app = App()
    app.add_route("/blog/own", lambda: "own")
    app.mount("/blog", inner)
    app.mount("/blog/deep", inner)
    assert get(app, "/blog/") == (200, b"inner /blog /blog/")
    assert get(app, "/blog/own") == (200, b"own")
    assert get(app, "/blog/x") == (200, b"inner x")
    assert get(app, "/blog/deep/y") == (200, b"inner y")
    assert get(app, "/blogger")[0] == 404


@pytest.mark.parametrize(
    ("policy", "path", "status"),
    [
        ("redirect", "/blog?a=b", 308),
        ("ignore", "/blog?a=b", 200),
        ("strict", "/blog?a=b", 200),
        ("redirect", "/blog/", 200),
        ("ignore", "/blog/", 200),
        ("redirect", "/page/", 308),
    ],
)
def test_the_root_of_a_mount_ends_with_a_slash(policy: Any, path: str, status: int) -> None:
    """Or the relative links of what is mounted would lead beside it; and no route for any name takes it away."""
    inner = App()
    inner.add_route("/", lambda: "inner")
    app = App(trailing_slash=policy)
    app.mount("/blog", inner)
    if path != "/blog?a=b":
        app.add_route("/{name}", lambda name: name)
    response = ask(app, "GET", path)
    assert response.status == status
    if status == 308:
        assert response.headers["location"] == {"/blog?a=b": "/blog/?a=b", "/page/": "/page"}[path]
    else:
        assert response.body == b"inner"


def test_the_prefix_of_a_mount_is_a_path_as_that_of_a_route_is() -> None:
    inner = App()
    inner.add_route("/x", lambda request: request.url.path)
    app = App()
    app.mount("/über uns", inner)
    assert get(app, "/%C3%BCber%20uns/x", Host="h") == (200, b"/%C3%BCber%20uns/x")


def test_middleware_that_comes_after_a_request_goes_around_mounts_too() -> None:
    inner = App()
    inner.add_route("/", lambda: "inner")
    app = App()
    app.mount("/", inner)
    assert get(app, "/") == (200, b"inner")

    @app.middleware
    def refuse(request: Request) -> Any:
        return "no", 401
        yield

    assert get(app, "/") == (401, b"no")


def test_async_middleware_makes_an_app_of_mounts_alone_async() -> None:
    app = App()
    app.mount("/", App())
    assert not app.is_async

    @app.middleware
    async def around(request: Request) -> Any:
        yield

    assert app.is_async


def test_options_of_the_server_name_every_method() -> None:
    allowed = App()
    allowed.add_route("/", lambda: "", ["GET"])
    allowed.add_route("/x", lambda: "", ["PUT"])
    assert ask(allowed, "OPTIONS", "*").headers["allow"] == "GET, HEAD, OPTIONS, PUT"


def test_what_a_mount_cannot_be() -> None:
    app = App()
    for prefix in ("blog", "/blog/", "/{a}"):
        with pytest.raises(RouteError, match="prefix"):
            app.mount(prefix, App())
    with pytest.raises(RouteError, match="must be a Handler"):
        app.mount("/x", object())  # type: ignore[arg-type]


def test_a_mounted_handlers_errors_are_this_apps() -> None:
    class Broken:
        def resolve(self, request: Request) -> Endpoint:
            return Endpoint(self.call, streams_body=True, max_body=7)

        def call(self, request: Request) -> Response:
            raise HTTPError(404, "from within")

    app = App()
    app.mount("/", Broken())
    app.error(404)(lambda request, error: f"mine: {error.detail}")
    assert get(app, "/x") == (404, b"mine: from within")
    endpoint = app.resolve(Request.build("GET", "/x"))
    assert (endpoint.streams_body, endpoint.max_body) == (True, 7)
