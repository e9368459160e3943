"""Redirects and cookies of a server as they are on this side."""

from __future__ import annotations

import pytest

from client.support import MakeRaw
from firstbyte.http.headers import Headers
from firstbyte.proxy.rewriting import rewrite
from firstbyte.proxy.upstreams import Upstream
from proxy.support import Proxied, ask
from proxy.support import Upstream as Raw

HERE = "http://app.internal:9000"


@pytest.mark.parametrize(
    ("upstream", "prefix", "before", "after"),
    [
        (HERE, "", f"{HERE}/login?a=b#c", "/login?a=b#c"),
        (HERE, "", f"{HERE}", "/"),
        (HERE, "", "//app.internal:9000/x", "/x"),
        (HERE, "", "/login", "/login"),
        (HERE, "", "login", "login"),
        (HERE, "", "https://elsewhere.example/login", "https://elsewhere.example/login"),
        (HERE, "", "http://app.internal:9001/login", "http://app.internal:9001/login"),
        (HERE, "", "https://app.internal:9000/login", "https://app.internal:9000/login"),
        (HERE, "/api", f"{HERE}/api/login", "/api/login"),
        (HERE + "/", "/api", f"{HERE}/login", "/api/login"),
        (HERE + "/", "/api", "/", "/api/"),
        (HERE + "/v1", "/api", "/v1/login", "/api/login"),
        (HERE + "/v1", "/api", "/v1", "/api"),
        (HERE + "/v1", "/api", "/v1?a", "/api?a"),
        (HERE + "/v1", "/api", "/v12", "/v12"),
        (HERE + "/v1", "/api", "/other", "/other"),
        (HERE + "/v1", "", "/v1/login", "/login"),
        (HERE + "/v1", "", "/v1", "/"),
        (HERE, "", "http://[broken/", "http://[broken/"),
    ],
)
@pytest.mark.parametrize("name", ["Location", "Content-Location"])
def test_places(name: str, upstream: str, prefix: str, before: str, after: str) -> None:
    headers = Headers([("X-A", "1"), (name, before)])
    rewrite(headers, Upstream.parse(upstream), prefix)
    assert headers.items() == [("X-A", "1"), (name, after)]


@pytest.mark.parametrize(
    ("upstream", "prefix", "before", "after"),
    [
        (HERE, "", "a=b", "a=b"),
        (HERE, "", "a=b; Domain=app.internal; Path=/; Secure", "a=b; Path=/; Secure"),
        (HERE, "", "a=b;domain=.APP.internal", "a=b"),
        (HERE, "", "a=b; Domain=internal", "a=b; Domain=internal"),
        (HERE + "/v1", "/api", "a=b; Path=/v1/x; HttpOnly", "a=b; Path=/api/x; HttpOnly"),
        (HERE + "/v1", "/api", "a=b; Path=/v1", "a=b; Path=/api"),
        (HERE + "/v1", "", "a=b; path=/v1", "a=b; Path=/"),
        (HERE + "/", "/api", "a=b; Path=/", "a=b; Path=/api/"),
        (HERE + "/v1", "/api", "a=b; Path=/", "a=b; Path=/"),
        (HERE, "", "Path=/v1; Domain=app.internal", "Path=/v1"),
    ],
)
def test_cookies(upstream: str, prefix: str, before: str, after: str) -> None:
    headers = Headers([("Set-Cookie", before), ("Set-Cookie", "c=d")])
    rewrite(headers, Upstream.parse(upstream), prefix)
    assert headers.get_all("set-cookie") == [after, "c=d"]


@pytest.mark.parametrize("is_on", [True, False])
def test_only_where_it_is_wanted(is_on: bool, proxied: Proxied, raw: MakeRaw) -> None:
    answer = Raw()
    server = raw(answer)
    answer.answer = f"HTTP/1.1 302 Found\r\nLocation: {server.url}/in\r\nContent-Length: 0\r\n\r\n".encode()
    assert ask(proxied(server, rewrite=is_on).client())[1]["location"] == ("/in" if is_on else f"{server.url}/in")
