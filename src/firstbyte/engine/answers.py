"""The engine's own answers, where no app has had a say: plain text."""

from __future__ import annotations

import logging

from firstbyte.errors import HTTPError
from firstbyte.http.handler import Endpoint
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.http.status import phrase

logger = logging.getLogger("firstbyte.engine")


def error_response(status: int, detail: str = "") -> Response:
    """The status, and a sentence that says why."""
    text = f"{status} {phrase(status)}\n"
    return Response(f"{text}{detail}\n" if detail else text, status)


def failed_endpoint(request: Request, error: Exception) -> Endpoint:
    """What answers a request whose handler could not say what does: HTTPError is an answer, all else a fault."""
    if isinstance(error, HTTPError):
        response = error_response(error.status, error.detail)
        response.headers.update(error.headers)
    else:
        logger.error("resolving %s %s failed", request.method, request.target, exc_info=error)
        response = error_response(500)
    return Endpoint(lambda request: response, name=str(response.status), streams_body=True)
