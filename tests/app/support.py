"""Asks an app without a server."""

from __future__ import annotations

from typing import Any

from firstbyte import App, Request, Response


def ask(app: App, method: str, target: str, body: bytes = b"", **fields: str) -> Response:
    """The app's response, as a server would get it."""
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    request = Request.build(method, target, headers, body)
    response = app.resolve(request).call(request)
    assert isinstance(response, Response)
    return response


def get(app: App, target: str, **fields: str) -> Any:
    """Status and body of a GET."""
    response = ask(app, "GET", target, **fields)
    return response.status, response.body
