"""Which interface an application has."""

from __future__ import annotations

import functools
from typing import Any
from wsgiref.validate import validator

import pytest

from firstbyte import App
from firstbyte.errors import ConfigurationError
from firstbyte.hosts.detect import interface_of
from firstbyte.hosts.wsgi import WSGI


def wsgi(environ: Any, start_response: Any) -> Any: ...
def wsgi_with_default(environ: Any, start_response: Any, extra: int = 1) -> Any: ...
async def asgi(scope: Any, receive: Any, send: Any) -> None: ...
def asgi_by_a_function(scope: Any, receive: Any, send: Any) -> Any: ...
def asgi_2(scope: Any) -> Any: ...
async def asgi_of_any(*arguments: Any) -> None: ...
def none(a: Any, b: Any, c: Any, d: Any) -> None: ...
async def confused(environ: Any, start_response: Any) -> Any: ...


class WSGIObject:
    def __call__(self, environ: Any, start_response: Any) -> Any: ...

    def method(self, environ: Any, start_response: Any) -> Any: ...


class ASGIObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class ASGI2Class:
    """An instance is made for each scope."""

    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


class NamedASGIObject(ASGIObject):
    def __init__(self, name: str) -> None: ...


class WSGIClass:
    """An instance is the answer, as in the examples of PEP 3333."""

    def __init__(self, environ: Any, start_response: Any) -> None: ...

    def __iter__(self) -> Any: ...


@pytest.mark.parametrize(
    ("app", "interface"),
    [
        (App(), "native"),
        (WSGI(wsgi), "native"),
        (wsgi, "wsgi"),
        (wsgi_with_default, "wsgi"),
        (WSGIObject(), "wsgi"),
        (WSGIObject().method, "wsgi"),
        (WSGIClass, "wsgi"),
        (functools.partial(none, 1, 2), "wsgi"),
        (asgi, "asgi"),
        (asgi_by_a_function, "asgi"),
        (asgi_2, "asgi"),
        (asgi_of_any, "asgi"),
        (ASGIObject(), "asgi"),
        (ASGI2Class, "asgi"),
        (NamedASGIObject("a"), "asgi"),
    ],
)
def test_the_interface_is_told(app: Any, interface: str) -> None:
    assert interface_of(app) == interface


@pytest.mark.parametrize(
    ("app", "message"),
    [
        (3, "it is int, which is no Handler"),
        (none, "it takes 4 arguments"),
        (confused, "2 arguments as a coroutine"),
        (App, "it is a class: name an instance"),
        (WSGIObject, "it is a class: name an instance"),
        (NamedASGIObject, "it is a class: name an instance"),
        (validator(wsgi), "--interface"),
    ],
)
def test_what_tells_nothing_is_refused(app: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        interface_of(app)
