"""Cookies: the client's Cookie field read, the server's Set-Cookie written (RFC 6265bis)."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from firstbyte.http.dates import format_date
from firstbyte.http.headers import TOKEN

SameSite: TypeAlias = Literal["Strict", "Lax", "None"] | None

MAX_COOKIES = 200  # of one request; browsers send at most 180 to a site
MAX_SIZE = 4096  # bytes of name and value together, beyond which browsers drop a cookie (RFC 6265bis section 5.6)

_NO_COOKIE_OCTET = re.compile(r"[^\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]")  # RFC 6265bis section 4.1.1
_PATH = re.compile(r"(?:/[\x20-\x3a\x3c-\x7e]*)?")
_DOMAIN = re.compile(r"[A-Za-z0-9.-]*")
_PREFIXES = ("__secure-", "__host-")


def parse_cookies(header: str) -> dict[str, str]:
    """The cookies of a Cookie field by name, without the quotes around a value; what is no cookie is left out.

    Of a name that comes twice the first counts: browsers send the one with the longer path first (RFC 6265bis section
    5.8.3). What follows the first `MAX_COOKIES` is not read.
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
    samesite: SameSite = "Lax",
    partitioned: bool = False,
) -> str:
    """The value of a Set-Cookie field; `max_age` in seconds, `expires` in seconds since the epoch.

    An empty `path` leaves the attribute out: the browser then takes the folder of the request. Raises ValueError for
    what browsers would refuse or read otherwise (RFC 6265bis sections 4.1 and 5.7): a name that is no token; a value
    with spaces, quotes, commas, semicolons, backslashes, controls or anything outside ASCII; a `max_age` that is not
    whole; a path that does not begin with /; SameSite=None, Partitioned or a __Secure- name without `secure`; a __Host-
    name with a domain or another path than /; and name and value of more than 4096 bytes together.
    """
    check_cookie(name, value)
    if max_age is not None and not isinstance(max_age, int):
        raise ValueError(f"the max_age of the cookie {name} must be a whole number of seconds, not {max_age!r}")
    if _PATH.fullmatch(path) is None:
        raise ValueError(f"the path of the cookie {name} must begin with / and have no semicolon or control: {path!r}")
    if domain is not None and _DOMAIN.fullmatch(domain) is None:
        raise ValueError(f"the domain of the cookie {name} is no domain name: {domain!r}")
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


def check_cookie(name: str, value: str) -> None:
    """Raises ValueError unless the pair is one cookie and nothing else (RFC 6265bis section 4.1.1).

    That is for a name that is no token, for a value with spaces, quotes, commas, semicolons, backslashes, controls or
    anything outside ASCII, and for more than 4096 bytes together.
    """
    if TOKEN.fullmatch(name) is None:
        raise ValueError(f"the cookie name {name!r} is not a token")
    bad = _NO_COOKIE_OCTET.search(value)
    if bad is not None:  # the value itself may be a secret
        raise ValueError(f"the value of the cookie {name} has {bad.group()!r} at {bad.start()}: encode it")
    if len(name) + len(value) > MAX_SIZE:
        raise ValueError(f"the cookie {name} has {len(name) + len(value)} bytes; browsers take {MAX_SIZE}")


def expire_cookie(
    name: str,
    *,
    path: str = "/",
    domain: str | None = None,
    secure: bool = False,
    samesite: SameSite = "Lax",
    partitioned: bool = False,
) -> str:
    """The value of a Set-Cookie field that makes the client forget a cookie.

    A cookie is known by name, path and domain, and by `partitioned`; `secure` and `samesite` matter to browsers that
    are told from another site's page, and are best given as they were set. Raises ValueError as `format_set_cookie`
    does.
    """
    return format_set_cookie(
        name,
        "",
        max_age=0,
        expires=0.0,
        path=path,
        domain=domain,
        secure=secure or name.lower().startswith(_PREFIXES),
        samesite=samesite,
        partitioned=partitioned,
    )


def _check_promises(
    name: str, path: str, domain: str | None, secure: bool, samesite: str | None, partitioned: bool
) -> None:
    """What a name or an attribute promises of the others (RFC 6265bis section 4.1.3). Raises ValueError."""
    if samesite not in (None, "Strict", "Lax", "None"):
        raise ValueError(f"samesite is Strict, Lax, None (as text) or None, not {samesite!r}")
    prefixed = name.lower()  # browsers hold a name to its prefix in any case
    if not secure:
        for needs, what in (
            (samesite == "None", "SameSite=None"),
            (partitioned, "Partitioned"),
            (prefixed.startswith(_PREFIXES), "its prefix"),
        ):
            if needs:
                raise ValueError(f"the cookie {name} must be secure because of {what}")
    if prefixed.startswith("__host-") and (domain or path != "/"):
        raise ValueError(f"the cookie {name} must have the path / and no domain because of its prefix")
