"""Redirects and cookies of a server behind a proxy, as they have to be in front of it."""

from __future__ import annotations

import re

from firstbyte.http.headers import Headers
from firstbyte.http.url import URL
from firstbyte.proxy.upstreams import Upstream


def rewrite(headers: Headers, upstream: Upstream, prefix: str) -> None:
    """Changes Location, Content-Location and Set-Cookie in place.

    `prefix` is where the proxy is mounted, "" for everywhere. A place on the server becomes the path that leads there
    through the proxy, a place elsewhere stays. A cookie for the server's own host becomes one for ours, and one for a
    path on it one for that path here.
    """
    if "location" not in headers and "set-cookie" not in headers and "content-location" not in headers:
        return
    changed = []
    for lowered, name, value in headers.fields():
        if lowered in ("location", "content-location"):
            value = _place(value, upstream, prefix)
        elif lowered == "set-cookie":
            value = _cookie(value, upstream, prefix)
        changed.append((name, value))
    for name in {name.lower() for name, _ in changed}:
        del headers[name]
    for name, value in changed:
        headers.add(name, value)


def _place(text: str, upstream: Upstream, prefix: str) -> str:
    if text.startswith("/") and not text.startswith("//"):
        return _path(text, upstream, prefix)
    try:
        url = URL.parse(f"{upstream.url.scheme}:{text}" if text.startswith("//") else text)
    except ValueError:  # a reference, which is relative to a place of ours already, or what no browser takes
        return text
    if url.origin != upstream.url.origin:
        return text
    rest = f"{url.path}?{url.query}" if url.query else url.path
    return _path(f"{rest}#{url.fragment}" if url.fragment else rest, upstream, prefix)


def _path(path: str, upstream: Upstream, prefix: str) -> str:
    """A path on the server as it is on this side; one that is not below its base cannot be reached and stays."""
    base = upstream.base
    if base is None or not (path.startswith(base) and path[len(base) :][:1] in ("", "/", "?", "#")):
        return path
    below = path[len(base) :]
    return prefix + below if below.startswith("/") or prefix else "/" + below


def _cookie(value: str, upstream: Upstream, prefix: str) -> str:
    """RFC 6265bis section 4.1: attributes follow the pair, each behind a semicolon."""
    pair, *attributes = value.split(";")
    kept = []
    for attribute in attributes:
        match = _ATTRIBUTE.fullmatch(attribute)
        name = match[1].lower() if match else ""
        if match and name == "domain" and match[2].lower().lstrip(".") == upstream.url.host:
            continue  # without one it is the host's that the client has asked
        if match and name == "path" and match[2].startswith("/"):
            attribute = f" Path={_path(match[2], upstream, prefix) or '/'}"
        kept.append(attribute)
    return ";".join([pair, *kept])


_ATTRIBUTE = re.compile(r"[ \t]*(domain|path)[ \t]*=[ \t]*(.*?)[ \t]*", re.IGNORECASE)
