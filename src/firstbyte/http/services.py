"""What a request may ask of whoever has received it: what is done beside its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple, Protocol

from firstbyte.http.headers import Headers


class Job:
    """A call that is made later, in the context of whoever asked for it; `is_async` if it is to be awaited.

    `after` is called when it has ended. `name` is for logs.
    """

    __slots__ = ("after", "call", "context", "is_async", "name")

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: Any = None,
        *,
        after: Callable[[], None] = lambda: None,
        name: str = "",
    ) -> None:
        self.call = partial(function, *args, **(kwargs or {}))
        self.context = copy_context()
        import inspect  # here, since it takes long to import, and few answers leave something to do

        inner = getattr(function, "__call__", None)  # noqa: B004 - of an object, which may be a coroutine function
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(inner)
        self.name = name or getattr(function, "__qualname__", repr(function))
        self.after = after


class Services(Protocol):
    """The server of a connection, to the requests that come over it."""

    def send_interim(self, status: int, fields: Headers) -> None:
        """Sends a response of 1xx before the answer, if it can. Raises ValueError for another status."""
        ...

    def after(self, job: Job) -> None:
        """Has a job run when the answer is sent. Raises HTTPError 503 while too many have not ended."""
        ...


class Periodic(NamedTuple):
    """What is to be done once in so many seconds: a function of nothing, or a coroutine function."""

    function: Callable[[], Any]
    seconds: float
    name: str


def periodic_of(handler: Any) -> Sequence[Periodic]:
    """What a handler has to do again and again; nothing for most (see `Handler`)."""
    found: Sequence[Periodic] = getattr(handler, "periodic", ())
    return found
