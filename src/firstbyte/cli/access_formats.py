"""The formats of the access log that are not its own: strings of gunicorn's atoms, and JSON."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Callable
from difflib import get_close_matches
from time import gmtime, localtime, strftime, time
from typing import TypeAlias

import msgspec

from firstbyte.cli.access_log import NO_METHOD, Format, escape
from firstbyte.engine.observer import Entry
from firstbyte.errors import ConfigurationError
from firstbyte.http.request import Request

Atom: TypeAlias = Callable[[Entry, int, float], str]


# -- what the formats are made of


class _Second:
    """The text of a second, made once in it."""

    def __init__(self, make: Callable[[int], str]) -> None:
        self._make = make
        self._made = (0, "")

    def text(self, now: float) -> str:
        second, text = self._made
        if second != int(now):
            second, text = self._made = int(now), self._make(int(now))
        return text


_local_second = _Second(lambda second: strftime("[%d/%b/%Y:%H:%M:%S %z]", localtime(second)))
_utc_second = _Second(lambda second: strftime("%Y-%m-%dT%H:%M:%S", gmtime(second)))


def _finder(name: str) -> Callable[[Request], str]:
    """Finds a field of a request, empty if there is none: in the head as it came, where nobody has taken it apart yet.

    Taking it apart costs ten times as much, and most handlers need no field at all.
    """
    line = rb"\n" + re.escape(name.encode("latin-1", "replace")) + rb":[ \t]*([^\r]*)"
    search = re.compile(line, re.IGNORECASE).search

    def find(request: Request) -> str:
        if request._headers is not None:
            return request._headers.get(name) or ""
        match = search(request.head)
        return match[1].rstrip(b" \t").decode("latin-1") if match is not None else ""

    return find


# -- gunicorn's atoms


def compile_atoms(format: str) -> Format:  # noqa: A002
    """The function of a string of atoms. Raises ConfigurationError for one that is none, with the nearest."""
    if not format.isprintable():
        raise ConfigurationError(f"the access log format {format!r} has a control character: a record is one line")
    atoms: list[Atom] = []

    def replace(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%%"
        if match["name"] is None:
            raise ConfigurationError(
                f"the access log format has a % at character {match.start() + 1} that begins no atom: "
                "write %(h)s, or %% for the sign itself"
            )
        atoms.append(_atom(match["name"]))
        return "%s"

    template = _PLACE.sub(replace, format) + "\n"

    def line(entry: Entry, status: int, seconds: float) -> bytes:
        return (template % tuple([atom(entry, status, seconds) for atom in atoms])).encode()

    return line


_PLACE = re.compile(r"%(?:%|\((?P<name>\{[^}]*\}\w*|[^)]*)\)s)?")


def _atom(name: str) -> Atom:
    if name in _ATOMS:
        return _ATOMS[name][1]
    inner = re.fullmatch(r"\{(.+)\}(\w*)", name)
    if inner is not None and inner[2] in _NAMED_ATOMS:
        return _NAMED_ATOMS[inner[2]](inner[1])
    if inner is not None:
        near = f"{{{inner[1]}}}i"
    else:
        words = {word: atom for atom, (meaning, _) in _ATOMS.items() for word in (atom, meaning)}
        near = words[get_close_matches(name.lower(), words, 1, 0.0)[0]]
    meaning = f", the {_ATOMS[near][0]}" if near in _ATOMS else ", a field of the request (o: of the response)"
    raise ConfigurationError(f"%({name})s is no atom of an access log format: did you mean %({near})s{meaning}?")


def _client(entry: Entry, status: int, seconds: float) -> str:
    return entry.request.client.host if entry.request.client else "-"


def _user(entry: Entry, status: int, seconds: float) -> str:
    """The name in Basic credentials (RFC 7617), whether or not anyone has checked them."""
    scheme, _, credentials = _find_authorization(entry.request).partition(" ")
    if scheme.lower() != "basic":
        return "-"
    try:
        name = base64.b64decode(credentials.strip(), validate=True).partition(b":")[0]
    except (binascii.Error, ValueError):
        return "-"
    return escape(name.decode("latin-1")).replace(" ", "\\x20") or "-"  # it stands without quotes around it


_find_authorization = _finder("authorization")


def _request_line(entry: Entry, status: int, seconds: float) -> str:
    request = entry.request
    if request.method == NO_METHOD:
        return "-"
    return escape(f"{request.method} {request.target} HTTP/1.{request.minor}")


def _field(name: str) -> Atom:
    find = _finder(name)
    return lambda entry, status, seconds: escape(find(entry.request) or "-")


def _answered_field(name: str) -> Atom:
    def atom(entry: Entry, status: int, seconds: float) -> str:
        return escape((entry.response.headers.get(name) if entry.response is not None else None) or "-")

    return atom


def _variable(name: str) -> Atom:
    """A variable of the request as WSGI names it (PEP 3333), else one of the process's environment."""
    if name.upper().startswith("HTTP_"):
        return _field(name[5:].replace("_", "-"))
    find = _VARIABLES.get(name.upper())
    if find is not None:
        return lambda entry, status, seconds: escape(find(entry.request)) or "-"
    value = escape(os.environ.get(name, "")) or "-"
    return lambda entry, status, seconds: value


_VARIABLES: dict[str, Callable[[Request], str]] = {
    "CONTENT_LENGTH": _finder("content-length"),
    "CONTENT_TYPE": _finder("content-type"),
    "PATH_INFO": lambda request: request.raw_path,
    "QUERY_STRING": lambda request: request.raw_query,
    "RAW_URI": lambda request: request.target,
    "REMOTE_ADDR": lambda request: request.client.host if request.client else "",
    "REMOTE_PORT": lambda request: str(request.client.port) if request.client else "",
    "REQUEST_METHOD": lambda request: request.method,
    "SCRIPT_NAME": lambda request: request.root_path,
    "SERVER_NAME": lambda request: request.server.host if request.server else "",
    "SERVER_PORT": lambda request: str(request.server.port) if request.server else "",
    "SERVER_PROTOCOL": lambda request: f"HTTP/1.{request.minor}",
    "WSGI.URL_SCHEME": lambda request: request.scheme,
}

_NAMED_ATOMS: dict[str, Callable[[str], Atom]] = {"i": _field, "o": _answered_field, "e": _variable}

_ATOMS: dict[str, tuple[str, Atom]] = {
    "h": ("remote host address", _client),
    "l": ("dash", lambda entry, status, seconds: "-"),
    "u": ("user name", _user),
    "t": ("time and date", lambda entry, status, seconds: _local_second.text(time())),
    "r": ("request line", _request_line),
    "m": ("request method", lambda entry, status, seconds: entry.request.method),
    "U": ("url path", lambda entry, status, seconds: escape(entry.request.root_path + entry.request.raw_path)),
    "q": ("query string", lambda entry, status, seconds: escape(entry.request.raw_query)),
    "H": ("protocol", lambda entry, status, seconds: f"HTTP/1.{entry.request.minor}"),
    "s": ("status", lambda entry, status, seconds: str(status)),
    "B": ("response length in bytes", lambda entry, status, seconds: str(entry.body_size)),
    "b": ("response length in bytes, or a dash", lambda entry, status, seconds: str(entry.body_size or "-")),
    "f": ("referer", _field("referer")),
    "a": ("user agent", _field("user-agent")),
    "T": ("request time in seconds", lambda entry, status, seconds: str(int(seconds))),
    "D": ("request time in microseconds", lambda entry, status, seconds: str(int(seconds * 1e6))),
    "M": ("request time in milliseconds", lambda entry, status, seconds: str(int(seconds * 1e3))),
    "L": ("request time in decimal seconds", lambda entry, status, seconds: f"{seconds:.6f}"),
    "p": ("process id", lambda entry, status, seconds: f"<{os.getpid()}>"),
}


# -- JSON


class _Record(msgspec.Struct, omit_defaults=True):
    """One line of the JSON format; sizes are bytes, `ms` from the head's arrival to the answer's last byte."""

    time: str
    client: str
    method: str
    target: str
    status: int
    bytes: int
    ms: float
    version: str
    body_bytes: int = 0
    bytes_in: int = 0
    waited_ms: float = 0.0
    endpoint: str = ""
    user_agent: str = ""
    referer: str = ""
    cut: bool = False


_encode = msgspec.json.Encoder().encode
_find_agent = _finder("user-agent")
_find_referer = _finder("referer")


def json_line(entry: Entry, status: int, seconds: float) -> bytes:
    """The line as a JSON object."""
    request = entry.request
    now = time()
    record = _Record(
        time=f"{_utc_second.text(now)}.{int(now % 1 * 1000):03d}Z",
        client=request.client.host if request.client else "",
        method=request.method,
        target=request.target,
        status=status,
        bytes=entry.size,
        ms=round(seconds * 1000, 2),
        version=f"1.{request.minor}",
        body_bytes=entry.body_size,
        bytes_in=entry.received,
        waited_ms=round(entry.waited * 1000, 2),
        endpoint=entry.endpoint.name if entry.endpoint is not None else "",
        user_agent=_find_agent(request),
        referer=_find_referer(request),
        cut=entry.was_cut,
    )
    return _encode(record) + b"\n"
