"""The seam between whatever receives requests and whatever answers them.

The engine, the test client and the foreign hosts call `Handler.resolve` with a head and then the endpoint it names; an
app, a folder, a proxy or a hosted WSGI app is a `Handler`. Neither side knows more of the other than this file.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol, TypeAlias

from firstbyte.http.request import Request
from firstbyte.http.response import Response

Call: TypeAlias = Callable[[Request], Response]


SLOW = 0.001  # seconds of wall time from which a call is not run inline: about twenty times the cost of a hand-off
PROVEN = 8  # calls after which a pace is trusted even where nobody can step in when it is wrong


class Pace:
    """What has been learned of the speed of an endpoint: a moving average of its wall time, in seconds."""

    __slots__ = ("calls", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls = 0  # how many have been counted

    @property
    def is_proven_fast(self) -> bool:
        """Whether it can be called where others wait meanwhile."""
        return self.seconds < SLOW and self.calls >= PROVEN

    def count(self, seconds: float) -> None:
        """Adds a call that took so long."""
        self.calls += 1
        self.seconds += (seconds - self.seconds) * 0.125


class Answered:
    """An answer that did not have to be waited for, from a call that may have to: awaited, it is its `response`."""

    __slots__ = ("response",)

    def __init__(self, response: Response) -> None:
        self.response = response

    def __await__(self) -> Generator[Any, None, Response]:
        yield from ()  # which makes this a generator, as awaiting wants it
        return self.response


class Endpoint:
    """Where a request ends up.

    `call` answers it; an HTTPError that it raises is an answer, too, and anything else a fault of the program. With
    `streams_body` it is called as soon as the head is there and reads the body itself (`Request.stream`) or leaves it;
    otherwise it is called with the body complete. `max_body` is the longest body in bytes, None for the server's limit.
    `name` is for people: logs, tables. With `sends`, a plain function may send its answer while it runs
    (`Request.sender`).
    With `is_async` the call is a coroutine function and is run in the server's loop; it may as well be a function that
    does what it can at once, and returns what is to be awaited, or `Answered`. `cancel_on_disconnect` (default: as
    `is_async`) cancels the coroutine when the client leaves; a function that has not begun by then is not called, one
    that runs goes on, since a thread cannot be cancelled. `rule` is the short stable name of the rule by which the call
    refuses requests, for metrics, else "".

    One that does not ask which Task it runs in may have an `attempt`, which is cheaper: where it can be stepped by hand
    (`waiting.Attempt`), that is called instead, raises nothing, and gives `Answered`, or a coroutine that goes on.
    """

    __slots__ = (
        "attempt", "call", "cancel_on_disconnect", "is_async", "max_body", "name", "pace", "rule", "sends",
        "streams_body",
    )  # fmt: skip

    def __init__(
        self,
        call: Callable[[Request], Any],
        *,
        name: str = "",
        is_async: bool = False,
        streams_body: bool = False,
        sends: bool = False,
        max_body: int | None = None,
        pace: Pace | None = None,
        cancel_on_disconnect: bool | None = None,
        rule: str = "",
        attempt: Callable[[Request], Any] | None = None,
    ) -> None:
        self.call = call
        self.name = name or getattr(call, "__qualname__", type(call).__name__)
        self.is_async = is_async
        self.cancel_on_disconnect = is_async if cancel_on_disconnect is None else cancel_on_disconnect
        self.streams_body = streams_body
        self.sends = sends
        self.max_body = max_body
        self.pace = pace or Pace()
        self.rule = rule
        self.attempt = attempt

    def with_call(
        self, call: Callable[[Request], Any], *, is_async: bool | None = None, sends: bool | None = None
    ) -> Endpoint:
        """The same endpoint, with the same pace, for a call around its own; by default of the same kind."""
        is_async = self.is_async if is_async is None else is_async
        return Endpoint(
            call,
            name=self.name,
            is_async=is_async,
            streams_body=self.streams_body,
            sends=self.sends if sends is None else sends,
            max_body=self.max_body,
            pace=self.pace,
            cancel_on_disconnect=self.cancel_on_disconnect if is_async == self.is_async else None,
            rule=self.rule,
        )

    def __repr__(self) -> str:
        return f"<Endpoint {self.name}>"


class Handler(Protocol):
    """Anything that answers requests.

    One that has coroutines among its endpoints says so before the server starts, with an attribute `is_async` that is
    true: the server then runs in a loop.

    One that has something to do before the first request and after the last has a method `lifespan()` besides, which
    gives an asynchronous context manager. The server enters it in its loop before it accepts anybody, and leaves it, in
    the same task, when the last answer is sent. What it raises on entering ends the start; StartupError is shown as its
    message alone.

    One that has something to do again and again has an attribute `periodic`, a sequence of `services.Periodic`.

    A handler around others passes all of this on: `around.Around` does it.
    """

    def resolve(self, request: Request) -> Endpoint:
        """The endpoint for a request whose head is complete and whose body is not read yet.

        It must not wait for anything. An answer that needs no body (404, 401) is an endpoint with `streams_body`.
        """
        ...


def lifespan_of(handler: Handler) -> AbstractAsyncContextManager[Any]:
    """The lifespan of a handler; of one that has none, a context in which nothing happens."""
    lifespan = getattr(handler, "lifespan", None)
    return nullcontext() if lifespan is None else lifespan()
