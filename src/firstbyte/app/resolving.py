"""Which of an app's endpoints answers a request: the part of an app that every request goes through, compiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from firstbyte.app.host_routing import ByHost
from firstbyte.app.mounts import Mount
from firstbyte.app.routing import Router, slash_toggled
from firstbyte.app.rules import Rule
from firstbyte.http.handler import Endpoint
from firstbyte.http.request import Request

if TYPE_CHECKING:
    from firstbyte.app.registration import Group

Gate: TypeAlias = "tuple[tuple[Rule, Endpoint], ...]"
"""Rules in the order of asking, each with the endpoint that refuses by it."""


def refused(gate: Gate, request: Request) -> Endpoint | None:
    """The endpoint of the first rule that refuses the request, None if none does. A rule that raises has refused."""
    for rule, refusal in gate:
        error: Exception | None
        try:
            error = rule(request)
        except Exception as raised:
            error = raised
        if error is not None:
            request.refusal = error
            return refusal
    return None


class Methods:
    """The endpoints of one path by method, and `other` for every method that has none.

    `gates` has those of endpoints before which rules stand; `in_host` says that host parameters are for these.
    """

    __slots__ = ("endpoints", "gates", "in_host", "other")

    def __init__(self) -> None:
        self.endpoints: dict[str, Endpoint] = {}
        self.other: Endpoint
        self.gates: dict[Endpoint, Gate] = {}
        self.in_host = False

    def find(self, method: str) -> Endpoint:
        """The endpoint for a method."""
        endpoint = self.endpoints.get(method)
        return self.other if endpoint is None else endpoint

    def admit(self, request: Request) -> Endpoint:
        """The endpoint for a request, once its rules were asked."""
        endpoint = self.find(request.method)
        return (refused(self.gates[endpoint], request) if self.gates else None) or endpoint


class Area(NamedTuple):
    """What a group answers where no route is."""

    group: Group
    gate: Gate
    not_found: Endpoint
    bad_path: Endpoint
    redirect: Endpoint

    def resolve(self, what: Literal["not_found", "bad_path", "redirect"], request: Request) -> Endpoint:
        """One of these endpoints, once the rules were asked."""
        endpoint: Endpoint = getattr(self, what)
        return refused(self.gate, request) or endpoint


class Mounted(NamedTuple):
    """A mount, and the rules before it."""

    mount: Mount
    gate: Gate

    def resolve(self, request: Request) -> Endpoint:
        """The mounted handler's endpoint, once the rules were asked: what they refuse it never sees."""
        return refused(self.gate, request) or self.mount.resolve(request)


class Site:
    """All that answers for one host. The areas and mounts that are first asked come first."""

    __slots__ = ("areas", "mounts", "router")

    def __init__(self, router: Router[Methods], mounts: Sequence[Mounted], areas: Sequence[Area]) -> None:
        self.router = router
        self.mounts = mounts
        self.areas = areas

    def area(self, raw_path: str) -> Area:
        """The innermost group that a path is below."""
        return next(area for area in self.areas if area.group.pattern.covers(raw_path))

    def mounted(self, request: Request) -> Mounted | None:
        """The mount that a request is for."""
        return next((each for each in self.mounts if each.mount.matches(request)), None)


class Built:
    """The endpoints of an app.

    `static` has the paths that one look-up leads to: without parameters, rules or a host. `hosts` is None if no route
    is of a host.
    """

    __slots__ = ("asterisk", "asterisk_gate", "hosts", "is_async", "site", "static")

    def __init__(
        self,
        is_async: bool,
        static: dict[str, Methods],
        site: Site,
        hosts: ByHost[Site] | None,
        asterisk: Endpoint,
        asterisk_gate: Gate,
    ) -> None:
        self.is_async = is_async
        self.static = static
        self.site = site
        self.hosts = hosts
        self.asterisk = asterisk
        self.asterisk_gate = asterisk_gate


class Resolver:
    """The base of `App`, which has `_build` and says what its `trailing_slash` means."""

    __slots__ = ("_built", "trailing_slash")

    def __init__(self, trailing_slash: Literal["redirect", "ignore", "strict"]) -> None:
        self.trailing_slash = trailing_slash
        self._built: Built | None = None  # None from when something was added until the next request

    def resolve(self, request: Request) -> Endpoint:
        """See `Handler.resolve`."""
        built = self._built
        if built is None:
            built = self._build()
        request.app = self  # type: ignore[assignment]  # it is an App
        methods = built.static.get(request.raw_path)
        if methods is None:
            return self._resolve_path(built, request)
        return methods.find(request.method)

    def _build(self) -> Built:
        """Composes every endpoint; again after something was added."""
        raise NotImplementedError

    def _resolve_path(self, built: Built, request: Request) -> Endpoint:
        path = request.raw_path
        if path == "*":
            return refused(built.asterisk_gate, request) or built.asterisk
        in_host: dict[str, str] = {}
        site = built.site
        if built.hosts is not None:
            site, in_host = built.hosts.find(request.host)
            if in_host:
                request.host_params = {**request.host_params, **in_host}  # those of an app around this one first
        try:
            found = site.router.find(path)
        except ValueError:
            return site.area(path).resolve("bad_path", request)
        if found is None:
            mounted = site.mounted(request)
            is_root = mounted is not None and path == f"{mounted.mount.prefix}/"
            if self.trailing_slash != "strict" and path != "/" and not is_root:
                found = site.router.find(slash_toggled(path))
                if found is not None and self.trailing_slash == "redirect":
                    return site.area(path).resolve("redirect", request)
            if found is None and mounted is not None:
                if path == mounted.mount.prefix and self.trailing_slash == "redirect":
                    # From there, relative links of what is mounted would lead beside it.
                    return site.area(path).resolve("redirect", request)
                return mounted.resolve(request)
        if found is None:
            return site.area(path).resolve("not_found", request)
        methods: Methods = found[0]
        values: dict[str, Any] = found[1]
        request.path_params = {**in_host, **values} if in_host and methods.in_host else values
        return methods.admit(request)
