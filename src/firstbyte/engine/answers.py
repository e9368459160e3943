"""The engine's own answers, where no app has had a say: plain text."""

from __future__ import annotations

import sys
from collections.abc import Coroutine

from firstbyte._lazy import lazy_logger
from firstbyte.errors import HTTPError, ProtocolError, ResponseError
from firstbyte.http.handler import Endpoint
from firstbyte.http.headers import Headers
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.http.status import phrase
from firstbyte.wire.writer import Head, Tails, encode_head

logger = lazy_logger("firstbyte.engine")


def error_response(status: int, detail: str = "") -> Response:
    """The status, and a sentence that says why."""
    text = f"{status} {phrase(status)}\n"
    return Response(f"{text}{detail}\n" if detail else text, status)


def encoded_error(error: ProtocolError, tails: Tails) -> tuple[bytes, bytes]:
    """Head and body of the answer to what is no valid request: the last of its connection."""
    response = error_response(error.status, str(error))
    assert isinstance(response.body, bytes)
    return encode_head(response, "GET", 1, False, tails).data, response.body


def failed_response(request: Request, endpoint: Endpoint) -> Response:
    """The answer for an endpoint that raised: HTTPError is one; what else is being handled is logged."""
    error = sys.exception()
    if isinstance(error, HTTPError):
        return _answer_of(error)
    logger.exception("%s failed on %s %s", endpoint.name, request.method, request.target)
    return error_response(500)


def not_an_answer(value: object) -> TypeError:
    """What to raise for what an endpoint has returned instead of a Response."""
    if isinstance(value, Coroutine):
        value.close()
        return TypeError(
            "a coroutine came where no loop runs: its Handler must say `is_async` before the server starts"
        )
    return TypeError(f"an endpoint must answer with a Response, not {value!r}")


def check_body(request: Request, response: Response) -> None:
    """Raises TypeError for a body that a function cannot give: nobody would await its pieces."""
    begun = request.sender is not None and request.sender.begun
    if hasattr(response.body, "__anext__") and not begun:
        raise TypeError("an asynchronous body needs a coroutine: make the handler async def")


def sendable(request: Request, response: Response, keep_alive: bool, tails: Tails) -> tuple[Response, Head]:
    """The response and its head; a 500 in the place of one that cannot be sent, which is logged."""
    try:
        return response, encode_head(response, request.method, request.minor, keep_alive, tails)
    except ResponseError as error:
        logger.error("the answer to %s %s cannot be sent: %s", request.method, request.target, error)
        close_quietly(response)
        response = error_response(500)
        return response, encode_head(response, request.method, request.minor, keep_alive, tails)


def trailers_of(request: Request, response: Response) -> Headers | None:
    """The fields that a response has behind its body, where the client takes them. Raises ResponseError."""
    if response.trailers is None:
        return None
    wanted = (request.headers.get_joined("te") or "").lower().split(",")
    if not any(each.partition(";")[0].strip(" \t") == "trailers" for each in wanted):
        return None
    try:
        return Headers(response.trailers())
    except (TypeError, ValueError) as error:
        raise ResponseError(f"the trailers cannot be sent: {error}") from None


def close_quietly(response: Response) -> None:
    """Closes an answer that is not sent to its end; what that raises is logged."""
    try:
        response.close()
    except Exception:
        logger.exception("closing an answer that was not sent to its end failed")


def failed_endpoint(request: Request, error: Exception) -> Endpoint:
    """What answers a request whose handler could not say what does: HTTPError is an answer, all else a fault."""
    if isinstance(error, HTTPError):
        response = _answer_of(error)
    else:
        logger.error("resolving %s %s failed", request.method, request.target, exc_info=error)
        response = error_response(500)
    return Endpoint(lambda request: response, name=str(response.status), streams_body=True)


def _answer_of(error: HTTPError) -> Response:
    response = error_response(error.status, error.detail)
    response.headers.update(error.headers)
    return response
