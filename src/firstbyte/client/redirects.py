"""Redirects: what request follows an answer (RFC 9110 section 15.4; methods as in the Fetch Standard)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from firstbyte.client.bodies import Body
from firstbyte.client.views import Answer, Sent
from firstbyte.errors import BadResponse, TooManyRedirects
from firstbyte.http.headers import Headers
from firstbyte.http.percent import InvalidURL
from firstbyte.http.url import URL

MAX_REDIRECTS = 20  # of one call; the Fetch Standard's bound


@dataclass(frozen=True)
class NextRequest:
    """The request that follows a redirect; `headers` are a copy of its own."""

    method: str
    url: URL
    headers: Headers
    body: Body | None


def next_request(request: Sent, response: Answer, *, allow_downgrade: bool = False) -> NextRequest | None:
    """The request that the answer redirects to, or None if it is no redirect: another status, or no Location.

    POST becomes GET after 301 and 302, and every method but HEAD after 303; it then has no body and no field about one.
    A fragment is kept unless Location has its own (RFC 9110 section 10.2.2). To another origin go no Authorization, no
    Cookie, no Proxy-Authorization and no Host of the caller's. Raises BadResponse (rule "location") for a Location that
    is no URL or is there twice, and TooManyRedirects, with the response, where one must not follow: from https to http
    unless `allow_downgrade`, to a scheme that is not http, and with a body that cannot be sent again.
    """
    location = _location(response) if response.status in _STATUSES else None
    if location is None:
        return None
    try:
        url = request.url.join(location.replace(" ", "%20"))  # as every browser does it
    except InvalidURL as error:
        raise BadResponse(f"the redirect's Location is no URL to go to: {error}", rule="location") from None
    if not url.fragment:
        url = replace(url, fragment=request.url.fragment)
    _check_scheme(request, url, response, allow_downgrade)
    headers = Headers(request.headers)
    if not same_origin(request.url, url):
        for name in _CREDENTIALS:
            del headers[name]
    method, body = request.method, request.body
    if (method == "POST" and response.status in (301, 302)) or (method != "HEAD" and response.status == 303):
        if method != "GET":
            for name in _ABOUT_THE_BODY:
                del headers[name]
            body = None
        method = "GET"
    if body is not None and not body.replayable:
        raise TooManyRedirects(
            f"the redirect to {url.origin} wants the body again, which came from an iterator: send bytes or a file",
            response=response,
        )
    return NextRequest(method, url, headers, body)


def same_origin(one: URL, other: URL) -> bool:
    """Whether scheme, host and port are the same: what is secret to one may go to the other (RFC 6454)."""
    return one.origin == other.origin


_STATUSES = (301, 302, 303, 307, 308)
_CREDENTIALS = ("Authorization", "Cookie", "Host", "Proxy-Authorization")
# RFC 9110 section 15.4, and what frames a body.
_ABOUT_THE_BODY = (
    "Content-Digest",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Location",
    "Content-Range",
    "Content-Type",
    "Digest",
    "Expect",
    "Last-Modified",
    "Repr-Digest",
    "Trailer",
    "Transfer-Encoding",
)


def _location(response: Answer) -> str | None:
    """The Location, in which bytes outside ASCII are UTF-8 where they can be, as browsers read it."""
    values = set(response.headers.get_all("location"))
    if len(values) > 1:
        raise BadResponse("the redirect has two Locations", rule="location")
    if not values:
        return None
    value = values.pop()
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return value


def _check_scheme(request: Sent, url: URL, response: Answer, allow_downgrade: bool) -> None:
    if url.scheme == "http" and request.url.scheme == "https" and not allow_downgrade:
        raise TooManyRedirects(
            f"the redirect from {request.url.origin} to {url.origin} would give up TLS, which must be allowed",
            response=response,
        )
    if url.scheme not in ("http", "https") and not same_origin(request.url, url):
        raise TooManyRedirects(f"the redirect leads to {url.scheme}, which is not followed", response=response)
