"""The command `proxy`, its options, and `--route` of every command that serves."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import click

from firstbyte.app.mounts import Mount
from firstbyte.app.pages import error_response
from firstbyte.cli.option_groups import add_options
from firstbyte.cli.option_types import Seconds
from firstbyte.errors import ConfigurationError
from firstbyte.http.around import Around
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.request import Request
from firstbyte.proxy.settings import HealthCheck, ProxyTimeouts


class Routes(Around):
    """A handler of several: each answers below its path, the longest that fits, and `otherwise` elsewhere."""

    def __init__(self, handlers: Mapping[str, Handler], otherwise: Handler) -> None:
        self._mounts = [Mount(path, handlers[path]) for path in sorted(handlers, key=len, reverse=True)]
        for mount in self._mounts:
            mount.compose_with(lambda call, is_async: (call, is_async))
        self._otherwise = otherwise
        super().__init__(*self._mounts, otherwise)

    def resolve(self, request: Request) -> Endpoint:
        """The endpoint of the one whose path fits."""
        for mount in self._mounts:
            if mount.matches(request):
                return mount.resolve(request)
        return self._otherwise.resolve(request)


_DEFAULT_TIMEOUTS = ProxyTimeouts()


@dataclass(frozen=True)
class Proxying:
    """What the options of a proxy say; each field is the option of its name."""

    host_header: Literal["auto", "keep", "upstream"] = "auto"
    via: str | None = None
    rewrite: bool = False
    health: str | None = None
    health_interval: float = 5.0
    max_connections: int = 512
    upstream_ca: str | None = None
    upstream_insecure: bool = False
    timeouts: ProxyTimeouts = _DEFAULT_TIMEOUTS

    def proxy(self, urls: Iterable[str], debug: bool) -> Handler:
        """A proxy whose errors are pages. Raises ConfigurationError."""
        from firstbyte.proxy.handler import Proxy  # here, since asyncio and ssl take long to import

        if self.upstream_ca is not None and self.upstream_insecure:
            raise ConfigurationError("--upstream-ca says whom to trust, --upstream-insecure trusts all: take one")
        try:
            health = None if self.health is None else HealthCheck(self.health, self.health_interval)
        except ValueError as error:
            raise ConfigurationError(f"--health: {error}") from None
        return Proxy(
            *(url.strip() for url in urls),
            host=self.host_header,
            via=self.via,
            rewrite=self.rewrite,
            timeouts=self.timeouts,
            health=health,
            max_connections=self.max_connections,
            verify=self.upstream_ca or not self.upstream_insecure,
            error_page=error_response,
            debug=debug,
        )

    def with_routes(self, otherwise: Handler, routes: Iterable[str], debug: bool) -> Handler:
        """`otherwise` with the proxies of the options `--route` before it. Raises ConfigurationError."""
        handlers: dict[str, Handler] = {}
        for text in routes:
            path, equals, urls = text.partition("=")
            if not equals or not path.startswith("/") or not urls:
                raise ConfigurationError(f"--route {text}: write a path and a URL, as /api=http://127.0.0.1:9000")
            if path in handlers:
                raise ConfigurationError(f"--route {path} is given twice: put commas between the URLs of one path")
            handlers[path] = self.proxy(urls.split(","), debug)
        return Routes(handlers, otherwise) if handlers else otherwise


def proxy_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: adds the options of a proxy, which reach the command as `proxying`."""

    @functools.wraps(command)
    def run(**options: Any) -> Any:
        try:
            waits = {name: options.pop(f"upstream_timeout_{name}") for name in ProxyTimeouts.settings}
            timeouts = ProxyTimeouts(**waits)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        named = {each.name: options.pop(each.name) for each in fields(Proxying) if each.name != "timeouts"}
        return command(proxying=Proxying(**named, timeouts=timeouts), **options)

    return add_options(run, [*_OPTIONS, *_TIMEOUTS])


_OPTIONS: tuple[Callable[..., Any], ...] = (
    click.option(
        "--host-header",
        type=click.Choice(["auto", "keep", "upstream"]),
        default="auto",
        show_default=True,
        help="The Host that is sent: the client's, or the server's own; auto is that for https alone.",
    ),
    click.option("--via", metavar="NAME", help="Add this name to Via, and refuse what comes back with it."),
    click.option("--rewrite", is_flag=True, help="Change redirects and cookies of the server into ours."),
    click.option("--health", metavar="/PATH", help="Ask each server for PATH, and leave out those that are not well."),
    click.option(
        "--health-interval", type=click.FloatRange(0, min_open=True), default=5.0, show_default=True, metavar="SECONDS"
    ),
    click.option(
        "--max-connections", type=click.IntRange(1), default=512, show_default=True, help="To one server, at a time."
    ),
    click.option("--upstream-ca", metavar="FILE", help="Trust the servers whose certificates these have signed."),
    click.option("--upstream-insecure", is_flag=True, help="Do not check the servers' certificates. Never on the net."),
)


_TIMEOUTS = tuple(
    click.option(
        f"--upstream-timeout-{name.replace('_', '-')}",
        f"upstream_timeout_{name}",
        type=Seconds(),
        default=each.default,
        show_default=True,
        metavar="SECONDS",
        help=each.doc,
    )
    for name, each in ProxyTimeouts.settings.items()
)
