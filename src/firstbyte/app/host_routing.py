"""Routes by host: `{tenant}.example.org` as a pattern, whose parameters are read as those of paths are."""

from __future__ import annotations

import re
from typing import Any, Generic, TypeVar

from firstbyte.errors import RouteError
from firstbyte.http.hosts import parse_host

T = TypeVar("T")

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_REMEMBERED = 1024  # answers kept: clients send the same Host again and again
_REMEMBERED_SIZE = 300  # characters, longer than any name with its port


class HostPattern:
    """A host whose labels are text or parameters: "api.example.org", "{tenant}.example.org". Any port is meant.

    A parameter is one label, in lower case. Raises RouteError for what is no host.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.parameters: list[str] = _PARAMETER.findall(text)
        if len(set(self.parameters)) != len(self.parameters):
            raise RouteError(f"the host {text!r} names a parameter twice")
        labels = text.removesuffix(".").split(".")
        if any(("{" in label or "}" in label) and not _PARAMETER.fullmatch(label) for label in labels):
            raise RouteError(f"a parameter in the host {text!r} is no whole label: write {{name}} between dots")
        if ":" in text.rpartition("]")[2]:
            raise RouteError(f"the host {text!r} has a port: leave it out, any is meant")
        try:
            plain = parse_host(_PARAMETER.sub("x", text)).split(".")
        except ValueError as error:
            raise RouteError(f"{text!r} is no host: {error}") from None
        self._pattern = re.compile(
            r"\.".join(
                f"(?P<{label[1:-1]}>[^.]+)" if label.startswith("{") else re.escape(same)
                for label, same in zip(labels, plain, strict=True)
            )
        )

    def match(self, host: str) -> dict[str, str] | None:
        """The parameters in a host as `parse_host` gives it; None for another host."""
        match = self._pattern.fullmatch(host)
        return None if match is None else match.groupdict()

    def url(self, values: dict[str, Any]) -> str:
        """The host with these values; takes them out of `values`. Raises LookupError for one missing or unfit."""

        def label(match: re.Match[str]) -> str:
            name = match[1]
            if name not in values:
                raise LookupError(f"the host {self.text!r} needs a value for {name}")
            text = str(values.pop(name))
            try:
                fits = "." not in text and parse_host(text) != ""
            except ValueError:
                fits = False
            if not fits:
                raise LookupError(f"{text!r} is no label for {name} in the host {self.text!r}")
            return text

        return _PARAMETER.sub(label, self.text)


class ByHost(Generic[T]):
    """Finds what was given for the first pattern that a host matches: those with the fewest parameters come first."""

    def __init__(self, sites: list[tuple[HostPattern, T]], other: T) -> None:
        self._sites = sorted(sites, key=lambda site: len(site[0].parameters))
        self._other = other
        self._known: dict[str, tuple[T, dict[str, str]]] = {}

    def find(self, host: str) -> tuple[T, dict[str, str]]:
        """What is for a Host field, with or without a port, and the parameters in it; `other` for what is malformed."""
        known = self._known.get(host)
        if known is None:
            known = self._find(host)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            if len(host) < _REMEMBERED_SIZE:
                self._known[host] = known
        return known

    def _find(self, text: str) -> tuple[T, dict[str, str]]:
        try:
            host = parse_host(text)
        except ValueError:
            return self._other, {}
        for pattern, site in self._sites:
            parameters = pattern.match(host)
            if parameters is not None:
                return site, parameters
        return self._other, {}
