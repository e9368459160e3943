"""What becomes of an exception: the handler that was added for it, an HTTPError's own answer, or a logged 500."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from firstbyte._lazy import lazy_logger
from firstbyte.app.calls import is_coroutine
from firstbyte.app.middleware import place
from firstbyte.app.pages import debug_response, error_response
from firstbyte.app.problems import told
from firstbyte.app.results import to_response
from firstbyte.errors import ClientDisconnected, ConfigurationError, HTTPError, ValidationError
from firstbyte.http.request import Request
from firstbyte.http.response import Response

logger = lazy_logger("firstbyte.app")

ErrorHandler = Callable[[Request, Exception], Any]


class ErrorHandlers:
    """The functions that answer errors, by status and by type of exception."""

    def __init__(self) -> None:
        self._by_status: dict[int, ErrorHandler] = {}
        self._by_type: dict[type[Exception], ErrorHandler] = {}

    def add(self, kind: int | type[Exception], function: ErrorHandler) -> None:
        """Has `function` answer `kind`. Raises ConfigurationError for what is none, or has one already."""
        if is_coroutine(function):
            raise ConfigurationError(f"the error handler {place(function)} is async def: write def")
        if isinstance(kind, int):
            _once(self._by_status, kind, function)
        elif isinstance(kind, type) and issubclass(kind, Exception):
            _once(self._by_type, kind, function)
        else:
            raise ConfigurationError(
                f"{place(function)}: an error handler is for a status or an exception, not {kind!r}"
            )

    def find(self, error: Exception) -> ErrorHandler | None:
        """The handler of an HTTPError's status, else that of the most specific type."""
        handler: ErrorHandler | None = None
        if isinstance(error, HTTPError):
            handler = self._by_status.get(error.status)
        for kind in type(error).__mro__:
            if handler is None:
                handler = self._by_type.get(kind)
        return handler

    def find_status(self, status: int) -> ErrorHandler | None:
        """The handler of a status."""
        return self._by_status.get(status)


class Failures:
    """Answers exceptions with the first of these sets of handlers that has one.

    `debug` says whether clients are shown tracebacks; `failed` is told what nobody answers.
    """

    def __init__(
        self,
        handlers: Sequence[ErrorHandlers],
        debug: Callable[[], bool],
        failed: Callable[[Request, Exception], None] = lambda request, error: None,
    ) -> None:
        self._handlers = handlers
        self.debug = debug
        self._failed = failed

    def handled_or_raised(self, request: Request, error: Exception) -> Response:
        """The answer that the error has; raises it again if it has none."""
        response = self._handled(request, error)
        if response is None:
            raise error
        return response

    def unhandled(self, request: Request, error: Exception) -> Response:
        """The last resort: what a middleware raised, or a fault of the program. Logged once, with its id."""
        response = self._last_resort(request, error)
        if request.failure_headers is not None:
            _add_fields(response, request.failure_headers.items())
        return response

    def _last_resort(self, request: Request, error: Exception) -> Response:
        identifier = os.urandom(4).hex()
        try:
            response = self._handled(request, error)
            if response is not None:
                return response
            if isinstance(error, ClientDisconnected):  # no fault of the program; nobody reads the answer
                logger.info("%s %s: %s", request.method, request.target, error)
                return error_response(request, 400, str(error))
            request.failure = error
            self._failed(request, error)
            logger.error("500 id %s: %s %s failed", identifier, request.method, request.target, exc_info=error)
            if self.debug():
                return debug_response(request, error, identifier)
            handler = self._first(lambda each: each.find_status(500))
            if handler is not None:
                response = to_response(handler(request, error), request)
                response.status = 500 if response.status == 200 else response.status
                return response
        except Exception:
            logger.exception("500 id %s: the error handler failed on %r", identifier, error)
        return error_response(request, 500, f"The server has logged what went wrong as {identifier}.")

    def _handled(self, request: Request, error: Exception) -> Response | None:
        """The answer of the error's own handler, or of HTTPError itself; None if it has none."""
        handler = self._first(lambda each: each.find(error))
        response: Response | None = None
        if handler is not None:
            try:
                response = to_response(handler(request, error), request)
            except HTTPError as answer:
                error = answer  # for what it means, or to leave it to the page that all have
            else:
                if isinstance(error, HTTPError) and response.status == 200:
                    response.status = error.status  # a page for a 404 is a 404 unless it says otherwise
        if response is None:
            if not isinstance(error, HTTPError):
                return None
            problems = error.problems if isinstance(error, ValidationError) else ()
            if problems and self.debug():
                # The path without the query, which the problems tell of as far as it is at fault.
                what = told(problems, request)
                logger.warning("%s %s refused with %d: %s", request.method, request.raw_path, error.status, what)
            response = error_response(request, error.status, error.detail, problems)
        if isinstance(error, HTTPError):
            _add_fields(response, error.headers.items())
        return response

    def _first(self, find: Callable[[ErrorHandlers], ErrorHandler | None]) -> ErrorHandler | None:
        return next(filter(None, map(find, self._handlers)), None)


def _add_fields(response: Response, fields: Iterable[tuple[str, str]]) -> None:
    for name, value in fields:
        if name.lower() == "vary":  # a list, which the page has begun
            for part in value.split(","):
                response.headers.vary_on(part.strip())
        else:
            response.headers.setdefault(name, value)


def _once(table: dict[Any, ErrorHandler], kind: Any, function: ErrorHandler) -> None:
    if kind in table:
        raise ConfigurationError(f"{place(table[kind])} and {place(function)} both handle the error {kind!r}")
    table[kind] = function
