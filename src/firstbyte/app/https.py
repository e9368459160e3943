"""A handler around another that sends plain HTTP to HTTPS."""

from __future__ import annotations

from firstbyte.errors import HTTPError
from firstbyte.http.around import Around
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.request import Request
from firstbyte.http.response import Response


class RedirectToHTTPS(Around):
    """Answers what comes over a connection without TLS with a 308 to the same address with it, on `port`.

    Only connections to `plain_port` are redirected, so that a proxy that speaks plain HTTP to another port is served.
    """

    def __init__(self, handler: Handler, plain_port: int, port: int) -> None:
        super().__init__(handler)
        self._handler = handler
        self._plain_port = plain_port
        self._port = port
        self._redirect = Endpoint(self._answer, name="308", streams_body=True)

    def resolve(self, request: Request) -> Endpoint:
        """The inner handler's endpoint, or the redirect's."""
        if request.tls is None and request.server is not None and request.server.port == self._plain_port:
            return self._redirect
        return self._handler.resolve(request)

    def _answer(self, request: Request) -> Response:
        host = request.url.host
        if not host or request.raw_path == "*":
            raise HTTPError(400, "without a Host there is no address to go on to")
        port = "" if self._port == 443 else f":{self._port}"
        host = f"[{host}]" if ":" in host else host
        return Response.redirect(f"https://{host}{port}{request.target}", 308)


_: type[Handler] = RedirectToHTTPS
