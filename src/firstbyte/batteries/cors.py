"""Cross-origin resource sharing: whose pages may read the answers.

The rules: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from typing import TypeAlias

from firstbyte.errors import ConfigurationError
from firstbyte.http.headers import TOKEN, Headers
from firstbyte.http.request import Request
from firstbyte.http.response import Response

CORS: TypeAlias = Callable[[Request], Generator[None, Response, Response]]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
MAX_AGE = 600  # seconds that a browser keeps the answer to a preflight; Chromium keeps none for longer than 7,200

_ORIGIN = re.compile(r"(?:[a-z][a-z0-9+.-]*://(?:\*\.)?[^\s/?#@*]+|null)", re.IGNORECASE)


def cors(
    *origins: str,
    methods: Iterable[str] = METHODS,
    headers: Iterable[str] = ("*",),
    expose: Iterable[str] = (),
    credentials: bool = False,
    max_age: int = MAX_AGE,
) -> CORS:
    """A middleware that lets pages of other origins read the answers: `app.middleware(cors("https://example.org"))`.

    `origins` are those of the pages, as "https://example.org:8443", with "https://*.example.org" for all hosts below
    one; none, or "*", is every origin. `methods` and `headers` are what they may ask with, "*" among the headers for
    all; `expose` what they may read beside the fields that all may; `credentials` lets cookies and passwords come
    along, for named origins only: for all of them it would hand the user's session to any page. `max_age` is in
    seconds. Preflights are answered here. Raises ConfigurationError for what makes no sense.
    """
    origins = origins or ("*",)
    every = "*" in origins
    for origin in origins:
        if origin != "*" and _ORIGIN.fullmatch(origin) is None:
            raise ConfigurationError(f"{origin!r} is no origin: write scheme and host, as https://example.org")
    if every and credentials:
        raise ConfigurationError(
            "credentials for every origin would let any page act for its visitor: name the origins"
        )
    named = frozenset(origin.lower() for origin in origins if "*" not in origin)
    patterns = [_below(origin.lower()) for origin in origins if "*" in origin and origin != "*"]
    allowed_methods, allowed_headers, exposed = (_names(each) for each in (methods, headers, expose))

    def allows(origin: str) -> bool:
        lowered = origin.lower()
        return every or lowered in named or any(pattern.fullmatch(lowered) for pattern in patterns)

    def around(request: Request) -> Generator[None, Response, Response]:
        origin = request.headers.get("origin")
        wanted_method = request.headers.get("access-control-request-method")
        if request.method == "OPTIONS" and origin is not None and wanted_method is not None:
            return _preflight(request, origin, wanted_method)
        try:
            response = yield
        except Exception:  # of which a page is to see the 500, and not that it may not read it
            request.failure_headers = Headers()
            _may_read(request.failure_headers, origin)
            raise
        _may_read(response.headers, origin)
        return response

    def _preflight(request: Request, origin: str, wanted_method: str) -> Response:
        response = Response(b"", 204)
        fields = response.headers
        _allow(fields, origin)
        fields.vary_on("Access-Control-Request-Method")
        fields.vary_on("Access-Control-Request-Headers")
        if not allows(origin):
            return response  # without the fields the browser refuses, and says why
        wanted = request.headers.get_joined("access-control-request-headers") or ""
        if wanted_method in allowed_methods:
            fields["Access-Control-Allow-Methods"] = ", ".join(allowed_methods)
        if "*" in allowed_headers:
            # By name: a "*" would not stand for Authorization, nor for anything where there are credentials.
            names = [name.strip() for name in wanted.split(",") if TOKEN.fullmatch(name.strip())]
        else:
            names = list(allowed_headers)
        if names:
            fields["Access-Control-Allow-Headers"] = ", ".join(names)
        fields["Access-Control-Max-Age"] = str(max_age)
        return response

    def _may_read(fields: Headers, origin: str | None) -> None:
        _allow(fields, origin)
        if origin is not None and allows(origin) and exposed:
            fields["Access-Control-Expose-Headers"] = ", ".join(exposed)

    def _allow(fields: Headers, origin: str | None) -> None:
        if every:
            fields["Access-Control-Allow-Origin"] = "*"
            return
        fields.vary_on("Origin")  # also where there is none: a cache must not give that answer to one
        if origin is not None and allows(origin):
            fields["Access-Control-Allow-Origin"] = origin
            if credentials:
                fields["Access-Control-Allow-Credentials"] = "true"

    return around


def _names(given: Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        given = (given,)
    names = tuple(given)
    for name in names:
        if TOKEN.fullmatch(name) is None:
            raise ConfigurationError(f"{name!r} is no name of a method or a header")
    return names


def _below(origin: str) -> re.Pattern[str]:
    """What matches the origins of hosts below one."""
    scheme, _, host = origin.partition("://*.")
    return re.compile(re.escape(f"{scheme}://") + r"(?:[a-z0-9-]+\.)+" + re.escape(host))
