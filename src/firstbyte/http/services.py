"""What a request may ask of whoever has received it: what is done beside its answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, Protocol

from firstbyte.http.headers import Headers


class Job:
    """A call that is made later, in the context of whoever asked for it; `is_async` if it is to be awaited."""

    __slots__ = ("call", "context", "is_async", "name")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: Any = None) -> None:
        self.call = partial(function, *args, **(kwargs or {}))
        self.context = copy_context()
        inner = getattr(function, "__call__", None)  # noqa: B004 - of an object, which may be a coroutine function
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(inner)
        self.name = getattr(function, "__qualname__", repr(function))


class Services(Protocol):
    """The server of a connection, to the requests that come over it."""

    def send_interim(self, status: int, fields: Headers) -> None:
        """Sends a response of 1xx before the answer, if it can. Raises ValueError for another status."""
        ...

    def after(self, job: Job) -> None:
        """Has a job run when the answer is sent. Raises HTTPError 503 while too many have not ended."""
        ...
