"""Cookies: the client's Cookie field read, the server's Set-Cookie written (RFC 6265bis)."""

from __future__ import annotations

import re
from typing import Literal

from firstbyte.http.dates import format_date
from firstbyte.http.headers import TOKEN

MAX_COOKIES = 200  # of one request; browsers send at most 180 to a site
MAX_SIZE = 4096  # bytes of name and value together, beyond which browsers drop a cookie (RFC 6265bis section 5.6)

_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")  # cookie-octet, RFC 6265bis section 4.1.1
_ATTRIBUTE = re.compile(r"[\x20-\x3a\x3c-\x7e]*")


def parse_cookies(header: str) -> dict[str, str]:
    """The cookies of a Cookie field by name; what is no cookie is left out.

    Of a name that comes twice the first counts: browsers send the one with the longer path first (section 5.8.3).
    """
    cookies: dict[str, str] = {}
    for pair in header.split(";", MAX_COOKIES)[:MAX_COOKIES]:
        name, equals, value = pair.partition("=")
        name = name.strip(" \t")
        if not equals or name in cookies or TOKEN.fullmatch(name) is None:
            continue
        value = value.strip(" \t")
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1]
        cookies[name] = value
    return cookies


def format_set_cookie(
    name: str,
    value: str,
    *,
    max_age: int | None = None,
    expires: float | None = None,
    path: str = "/",
    domain: str | None = None,
    secure: bool = False,
    httponly: bool = True,
    samesite: Literal["Strict", "Lax", "None"] | None = "Lax",
    partitioned: bool = False,
) -> str:
    """The value of a Set-Cookie field; `max_age` in seconds, `expires` in seconds since the epoch.

    Raises ValueError for what browsers would refuse or read otherwise: a name that is no token, a value with spaces,
    quotes, commas, semicolons or controls, SameSite=None or a __Secure- name without Secure, a __Host- name with a
    domain or another path than /, and name and value of more than 4096 bytes together.
    """
    if TOKEN.fullmatch(name) is None:
        raise ValueError(f"the cookie name {name!r} is not a token")
    if _VALUE.fullmatch(value) is None:
        raise ValueError(f"the cookie {name} has a character in its value that needs encoding: {value!r}")
    if len(name) + len(value) > MAX_SIZE:
        raise ValueError(f"the cookie {name} has {len(name) + len(value)} bytes; browsers take {MAX_SIZE}")
    for attribute, text in (("path", path), ("domain", domain or "")):
        if _ATTRIBUTE.fullmatch(text) is None:
            raise ValueError(f"the {attribute} of the cookie {name} has a semicolon or control character: {text!r}")
    _check_promises(name, path, domain, secure, samesite, partitioned)
    parts = [f"{name}={value}"]
    if max_age is not None:
        parts.append(f"Max-Age={max_age}")
    if expires is not None:
        parts.append(f"Expires={format_date(expires)}")
    if domain:
        parts.append(f"Domain={domain}")
    if path:
        parts.append(f"Path={path}")
    if secure:
        parts.append("Secure")
    if httponly:
        parts.append("HttpOnly")
    if samesite is not None:
        parts.append(f"SameSite={samesite}")
    if partitioned:
        parts.append("Partitioned")
    return "; ".join(parts)


def expire_cookie(name: str, *, path: str = "/", domain: str | None = None) -> str:
    """The value of a Set-Cookie field that makes the client forget a cookie. Raises ValueError."""
    secure = name.startswith(("__Host-", "__Secure-"))
    return format_set_cookie(name, "", max_age=0, expires=0.0, path=path, domain=domain, secure=secure)


def _check_promises(
    name: str, path: str, domain: str | None, secure: bool, samesite: str | None, partitioned: bool
) -> None:
    """What a name or an attribute promises of the others (RFC 6265bis section 4.1.3)."""
    if samesite not in (None, "Strict", "Lax", "None"):
        raise ValueError(f"samesite is Strict, Lax, None (as text) or None, not {samesite!r}")
    if not secure:
        for needs, what in (
            (samesite == "None", "SameSite=None"),
            (partitioned, "Partitioned"),
            (name.startswith(("__Secure-", "__Host-")), "its prefix"),
        ):
            if needs:
                raise ValueError(f"the cookie {name} must be secure because of {what}")
    if name.startswith("__Host-") and (domain or path != "/"):
        raise ValueError(f"the cookie {name} must have the path / and no domain because of its prefix")
