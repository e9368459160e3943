"""Which interface an application has, told from what it is and what it takes before it is called; and its handler."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal

from firstbyte.errors import ConfigurationError
from firstbyte.http.handler import Handler

Interface = Literal["native", "wsgi", "asgi"]


def as_handler(
    app: Any, interface: Literal["auto", "native", "wsgi", "asgi"] = "auto", *, multiprocess: bool = False
) -> Handler:
    """`app` itself if it is a Handler, else the one that hosts it; with "auto" `interface_of` finds out what it is.

    `multiprocess` is told to a WSGI application. Raises ConfigurationError for what cannot be served.
    """
    chosen: Interface = interface_of(app) if interface == "auto" else interface
    if chosen == "native":
        if isinstance(app, type) or not callable(getattr(app, "resolve", None)):
            raise ConfigurationError(f"it is {type(app).__name__} and no Handler, which has resolve(request)")
        handler: Handler = app
        return handler
    if not callable(app):
        raise ConfigurationError(f"it is {type(app).__name__}, which cannot be called")
    if chosen == "wsgi":
        from firstbyte.hosts.wsgi import WSGI  # here, as ASGI: who serves one loads one

        return WSGI(app, multiprocess=multiprocess)
    from firstbyte.hosts.asgi import ASGI

    return ASGI(app)


def interface_of(app: Any) -> Interface:
    """The interface of `app`: "native" for a Handler, "wsgi" for what takes (environ, start_response), "asgi" for what
    takes (scope, receive, send), or (scope) alone as ASGI 2 does.

    Raises ConfigurationError for what has none of them, or takes what could be any.
    """
    if not isinstance(app, type) and callable(getattr(app, "resolve", None)):
        return "native"
    if not callable(app):
        raise ConfigurationError(f"it is {type(app).__name__}, which is no Handler and cannot be called")
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        raise ConfigurationError(f"nothing tells what it takes{_HINT}") from None
    positional = [each for each in parameters if each.kind in _POSITIONAL]
    needed = sum(each.default is each.empty for each in positional)
    is_open = any(each.kind is each.VAR_POSITIONAL for each in parameters)
    taken = needed or len(positional)
    if is_open and needed < 2:
        if _is_coroutine(app):
            return "asgi"
        raise ConfigurationError(f"it takes any arguments, which tells nothing{_HINT}")
    if isinstance(app, type) and taken == 1 and _instances_take_two(app):
        return "asgi"
    if isinstance(app, type) and taken != 2:
        raise ConfigurationError("it is a class: name an instance of it")
    if taken == 2 and not _is_coroutine(app):
        return "wsgi"
    if taken == 3 or (taken == 1 and not isinstance(app, type)):
        return "asgi"
    raise ConfigurationError(
        f"it takes {taken} arguments{' as a coroutine' if _is_coroutine(app) else ''}: a WSGI app takes (environ, "
        "start_response), an ASGI app takes (scope, receive, send), and a Handler has resolve(request)"
    )


def _instances_take_two(app: type) -> bool:
    """Whether it is a class as ASGI 2 had it: made for a scope, its instances are called with (receive, send)."""
    call = getattr(app, "__call__", None)  # noqa: B004 - what it is, not whether there is one
    return inspect.iscoroutinefunction(call) and len(inspect.signature(call).parameters) == 3


def _is_coroutine(app: Callable[..., Any]) -> bool:
    call = getattr(type(app), "__call__", None)  # noqa: B004 - what it is, not whether there is one
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(call)


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_HINT = ": say which interface it has with --interface wsgi or --interface asgi"
