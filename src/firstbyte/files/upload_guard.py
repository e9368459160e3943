"""Whether a page of another site has sent a request that changes something."""

from __future__ import annotations

from firstbyte.errors import HTTPError
from firstbyte.http.request import Request
from firstbyte.http.url import URL


def check_same_origin(request: Request) -> None:
    """Raises HTTPError 403 if a browser says that the request comes from a page of another origin.

    Sec-Fetch-Site says so by itself; browsers without it, and pages that are not encrypted, send Origin, whose host and
    port must be those of the request. What has neither is no browser's. The scheme is not compared, since a proxy may
    have taken TLS off.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise HTTPError(403, "a page of another site may not upload here")
    elif origin is not None and not _is_of(origin, request):
        raise HTTPError(403, f"a page of {origin[:100]} may not upload here")


def _is_of(origin: str, request: Request) -> bool:
    try:
        url = URL.parse(origin)
        here = URL.parse(f"{url.scheme}://{request.host}")
    except ValueError:  # null, the origin of a sandboxed page, among others
        return False
    return (url.host, url.port) == (here.host, here.port)
