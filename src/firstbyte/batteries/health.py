"""Whether this process lives, and whether it should be given requests: for load balancers and orchestrators."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from firstbyte._lazy import lazy_logger
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.request import Request
from firstbyte.http.response import Response

logger = lazy_logger("firstbyte.health")

Check: TypeAlias = Callable[[], str | None]
"""Says why the process is not ready, or nothing; one that raises has failed, and so has the process."""

PROCESS_CHECKS: list[Check] = []
"""What every `Health` of the process asks besides its own checks; who runs a server adds one that tells of draining."""


class Health:
    """A handler with two pages: `/live` is 200 while requests are answered at all; `/ready` is 200 if no check has
    anything against it, else 503 with a line for each reason. Mount it: `app.mount("/health", Health(database_is_up))`.
    """

    def __init__(self, *checks: Check) -> None:
        self._checks = checks
        self._pages = {
            "/live": Endpoint(self._live, name="health: live", streams_body=True),
            "/ready": Endpoint(self._ready, name="health: ready", streams_body=True),
        }
        self._missing = Endpoint(_not_found, name="404", streams_body=True)

    def resolve(self, request: Request) -> Endpoint:
        """See `Handler.resolve`."""
        return self._pages.get(request.raw_path, self._missing)

    def reasons(self) -> list[str]:
        """Why the process is not ready; empty if it is."""
        reasons = []
        for check in (*PROCESS_CHECKS, *self._checks):
            try:
                reason = check()
            except Exception:
                # The client learns which check it was and no more: what went wrong inside is for the log.
                reason = f"{getattr(check, '__name__', 'a check')} failed"
                logger.exception("not ready: %s", reason)
            if reason:
                reasons.append(reason)
        return reasons

    def _live(self, request: Request) -> Response:
        return _page(request, ["alive"], 200)

    def _ready(self, request: Request) -> Response:
        reasons = self.reasons()
        return _page(request, reasons or ["ready"], 503 if reasons else 200)


def _page(request: Request, lines: list[str], status: int) -> Response:
    if request.method not in ("GET", "HEAD"):
        return Response("405 Method Not Allowed\n", 405, {"Allow": "GET, HEAD"})
    return Response("".join(f"{line}\n" for line in lines), status, {"Cache-Control": "no-store"})


def _not_found(request: Request) -> Response:
    return Response("404 Not Found\nthere are /live and /ready\n", 404)


_: type[Handler] = Health
