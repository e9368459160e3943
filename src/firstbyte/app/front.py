"""What stands before a handler that is on the open net or behind proxies: whom to believe, and which hosts are ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from firstbyte.app.pages import error_response
from firstbyte.errors import ProtocolError
from firstbyte.http.around import Around
from firstbyte.http.forwarded import TrustedProxies
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.hosts import Hosts
from firstbyte.http.request import Request
from firstbyte.http.response import Response

Tell: TypeAlias = Callable[[Request, str], None]
"""Is told what was ignored or refused, and why, in one line."""


class Front(Around):
    """A handler around another: it lets `trusted_proxies` say who the client is, and answers for `hosts` alone.

    A request for another host gets a 421 (RFC 9110 section 15.5.20), one whose proxies contradict each other a 400 (see
    `TrustedProxies.apply`); both before the body is read. Whatever passes is the inner handler's, which sees `client`,
    `scheme`, `host` and `url` as the client does. The host that counts is `request.host`, so what a proxy forwards is
    held to the list as well.
    """

    def __init__(
        self,
        handler: Handler,
        trusted_proxies: TrustedProxies | None = None,
        hosts: Hosts | None = None,
        tell: Tell | None = None,
    ) -> None:
        super().__init__(handler)
        self._handler = handler
        self._proxies = trusted_proxies
        self._hosts = hosts
        self._tell = tell

    def resolve(self, request: Request) -> Endpoint:
        """The inner handler's endpoint, or that of a refusal."""
        if self._proxies is not None:
            try:
                ignored = self._proxies.apply(request)
            except ProtocolError as error:
                self._say(request, f"refused with {error.status}: {error}")
                return _CONTRADICTION
            if ignored is not None:
                self._say(request, ignored)
        if self._hosts is not None and not self._hosts.allows(request.host):
            self._say(request, f"refused with 421: {_shown(request.host)} is none of the hosts that are allowed")
            return _MISDIRECTED
        return self._handler.resolve(request)

    def _say(self, request: Request, text: str) -> None:
        if self._tell is not None:
            self._tell(request, text)


def _misdirected(request: Request) -> Response:
    return error_response(request, 421, f"This server does not answer for the host {_shown(request.host)}.")


def _contradiction(request: Request) -> Response:
    return error_response(request, 400, "Forwarded and X-Forwarded-* do not say the same of this request.")


def _shown(host: str) -> str:
    return ascii(host[:100])


_MISDIRECTED = Endpoint(_misdirected, name="421", streams_body=True)
_CONTRADICTION = Endpoint(_contradiction, name="400", streams_body=True)
