"""What stands before a handler."""

from __future__ import annotations

import json
from typing import Any

import pytest

from firstbyte import App, Request
from firstbyte.app.front import Front
from firstbyte.http.forwarded import FIELDS, Networks, TrustedProxies
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.hosts import Hosts
from firstbyte.http.request import Address
from firstbyte.http.response import Response

HOSTS = Hosts.parse("example.org,*.example.org")
PROXIES = TrustedProxies(Networks.parse("10.0.0.0/8"), FIELDS)

app = App()


@app.post("/seen")
def seen(request: Request) -> dict[str, Any]:
    return {"client": str(request.client), "url": str(request.url), "body": request.text}


@app.get("/slash/")
def slash() -> str:
    return ""


def asked(fields: dict[str, str], target: str = "/seen", method: str = "POST", **options: Any) -> Request:
    options.setdefault("client", Address("10.0.0.1", 5))
    return Request.build(method, target, fields, b"x", **options)


def answer(handler: Handler, request: Request) -> tuple[int, Any]:
    response = handler.resolve(request).call(request)
    assert isinstance(response, Response)
    assert isinstance(response.body, bytes)
    return response.status, json.loads(response.body)


def test_the_inner_handler_sees_what_the_client_does() -> None:
    told: list[tuple[Request, str]] = []
    front = Front(app, PROXIES, HOSTS, lambda *args: told.append(args))
    fields = {"Host": "inner:8000", "Forwarded": 'for="192.0.2.1:7";proto=https;host=www.example.org'}
    request = asked(fields)
    assert front.resolve(request) is app.resolve(request)
    assert answer(front, asked(fields)) == (
        200,
        {"client": "192.0.2.1:7", "url": "https://www.example.org/seen", "body": "x"},
    )
    assert told == []


def test_without_anything_it_is_the_inner_handler() -> None:
    front = Front(app)
    request = asked({"Host": "anything", "Forwarded": "for=6.6.6.6"})
    assert front.resolve(request) is app.resolve(request)
    assert request.client == ("10.0.0.1", 5)


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        ({"Host": "evil.net"}, "evil.net"),
        ({"Host": "inner:8000"}, "inner:8000"),
        ({"Host": "example.org.evil.net:80"}, "example.org.evil.net:80"),
        ({"Host": "example.org", "Forwarded": "host=evil.net"}, "evil.net"),
        ({"Host": "example.org", "X-Forwarded-Host": "evil.net"}, "evil.net"),
        ({"Host": ""}, ""),
        ({}, ""),
    ],
)
def test_another_host_is_refused(fields: dict[str, str], host: str) -> None:
    told: list[str] = []
    front = Front(app, PROXIES, HOSTS, lambda request, text: told.append(text))
    endpoint = front.resolve(asked(fields))
    assert (endpoint.streams_body, endpoint.is_async, endpoint.name) == (True, False, "421")
    status, problem = answer(front, asked(fields))
    assert (status, problem["status"], problem["title"]) == (421, 421, "Misdirected Request")
    assert repr(host) in problem["detail"]
    assert told == [f"refused with 421: {host!r} is none of the hosts that are allowed"] * 2


def test_a_person_is_refused_with_a_page() -> None:
    request = asked({"Host": "<b>", "Accept": "text/html"})
    response = Front(app, hosts=HOSTS).resolve(request).call(request)
    assert response.status == 421
    assert b"&lt;b&gt;" in response.body
    assert b"<b>" not in response.body


@pytest.mark.parametrize("target", ["/seen", "/nowhere", "/%zz"])
@pytest.mark.parametrize("host", ["example.org:8000", "A.Example.ORG."])
def test_our_hosts_are_answered(host: str, target: str) -> None:
    request = asked({"Host": host}, target)
    assert Front(app, None, HOSTS).resolve(request) is app.resolve(request)


def test_a_stranger_s_word_of_the_host_is_not_heard() -> None:
    fields = {"Host": "example.org", "Forwarded": "for=6.6.6.6;host=evil.net", "X-Forwarded-Host": "evil.net"}
    request = asked(fields, client=Address("192.0.2.9", 5))
    status, told = answer(Front(app, PROXIES, HOSTS), request)
    assert (status, told["client"], told["url"]) == (200, "192.0.2.9:5", "http://example.org/seen")


def test_a_contradiction_is_refused_and_told() -> None:
    told: list[str] = []
    front = Front(app, PROXIES, HOSTS, lambda request, text: told.append(text))
    request = asked({"Host": "example.org", "Forwarded": "for=6.6.6.6", "X-Forwarded-For": "192.0.2.1"})
    assert front.resolve(request).streams_body
    status, problem = answer(front, request)
    assert (status, problem["status"]) == (400, 400)
    assert "10.0.0.1" not in problem["detail"]  # the client learns nothing of what is inside
    assert "6.6.6.6" in told[0]
    assert "192.0.2.1" in told[0]


def test_what_is_ignored_is_told_and_the_request_answered() -> None:
    told: list[str] = []
    front = Front(app, PROXIES, HOSTS, lambda request, text: told.append(text))
    fields = {"Host": "example.org", "Forwarded": "for=junk"}
    assert answer(front, asked(fields))[1]["client"] == "10.0.0.1:5"
    assert told == ["Forwarded from 10.0.0.1:5 is ignored: 'junk' is no address"]
    assert answer(Front(app, PROXIES, HOSTS), asked(fields))[0] == 200  # nobody listens


def test_a_redirect_keeps_the_prefix_that_the_proxy_took_off() -> None:
    front = Front(app, PROXIES)
    request = asked({"Host": "x", "X-Forwarded-Prefix": "/api"}, "/slash", "GET")
    response = front.resolve(request).call(request)
    assert (response.status, response.headers["Location"]) == (308, "/api/slash/")


def test_it_is_async_when_the_inner_handler_is() -> None:
    class Plain:
        def resolve(self, request: Request) -> Endpoint:
            raise AssertionError

    inner = App()
    front = Front(inner)
    assert not front.is_async
    assert not Front(Plain()).is_async

    @inner.get("/")
    async def waits() -> str:
        return ""

    assert front.is_async


def test_it_can_be_mounted_and_nested() -> None:
    outer = App()
    outer.mount("/api", Front(Front(app, None, HOSTS), PROXIES))
    status, told = answer(outer, asked({"Host": "x", "Forwarded": "for=192.0.2.1;host=example.org"}, "/api/seen"))
    assert (status, told["url"]) == (200, "http://example.org/api/seen")
    assert answer(outer, asked({"Host": "x"}, "/api/seen"))[0] == 421
