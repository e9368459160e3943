"""WebSocket routes: a handler becomes one that answers 101 and goes on behind it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from firstbyte.app.calls import annotations_of, is_coroutine
from firstbyte.app.middleware import place
from firstbyte.errors import RouteError
from firstbyte.http.request import Request
from firstbyte.http.upgrade import Upgrade
from firstbyte.websocket import Options, SyncWebSocket, WebSocket

_REQUEST = "firstbyte_request"


def is_websocket(function: Callable[..., Any]) -> bool:
    """Whether a route's function is one that `upgrading` made."""
    return _REQUEST in getattr(function, "__annotations__", {})


def upgrading(function: Callable[..., Any], options: Options) -> Callable[..., Any]:
    """A handler with the parameters of `function` but its WebSocket, which answers 101 and then calls `function`.

    The parameter of the WebSocket is the one annotated so, or named `ws`. Raises RouteError for a function without it,
    or one annotated with the kind for the other colour of functions.
    """
    hints = annotations_of(function)
    kind, other = (WebSocket, SyncWebSocket) if is_coroutine(function) else (SyncWebSocket, WebSocket)
    signature = inspect.signature(function)
    if other in hints.values():
        what = "an async def" if is_coroutine(function) else "a def"
        raise RouteError(f"{place(function)}: {what} takes a {kind.__name__}")
    names = [name for name in signature.parameters if hints.get(name) is kind or (name == "ws" and name not in hints)]
    if len(names) != 1:
        raise RouteError(f"{place(function)} must have one parameter for its WebSocket: ws: {kind.__name__}")
    (name,) = names

    def answer(arguments: dict[str, Any]) -> Upgrade:
        ws = kind(arguments.pop(_REQUEST), options)
        return ws.answer(partial(function, **{name: ws}, **arguments))

    if is_coroutine(function):

        async def aopen(**arguments: Any) -> Upgrade:
            return answer(arguments)

        opened: Any = aopen
    else:

        def open_(**arguments: Any) -> Upgrade:
            return answer(arguments)

        opened = open_
    request = inspect.Parameter(_REQUEST, inspect.Parameter.KEYWORD_ONLY, annotation=Request)
    kept = [parameter for each, parameter in signature.parameters.items() if each != name]
    rest = [parameter for parameter in kept if parameter.kind is parameter.VAR_KEYWORD]
    before = [parameter for parameter in kept if parameter.kind is not parameter.VAR_KEYWORD]
    opened.__signature__ = signature.replace(
        parameters=[
            *(parameter for parameter in before if parameter.kind is not parameter.KEYWORD_ONLY),
            request,
            *(parameter for parameter in before if parameter.kind is parameter.KEYWORD_ONLY),
            *rest,
        ]
    )
    opened.__annotations__ = {
        **{each: hint for each, hint in hints.items() if each not in (name, "return")},
        _REQUEST: Request,
    }
    opened.__name__ = getattr(function, "__name__", "websocket")
    opened.__qualname__ = getattr(function, "__qualname__", opened.__name__)
    opened.__wrapped__ = function
    opened.__doc__ = function.__doc__
    return opened  # type: ignore[no-any-return]
