"""`firstbyte proxy` and `--route`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from client.support import MakeRaw, raw
from engine.support import Client, Serve, driver, serve
from firstbyte import App
from firstbyte.cli.commands import cli
from firstbyte.cli.proxying import Proxying
from firstbyte.errors import ConfigurationError
from proxy.support import Upstream, ask

__all__ = ["driver", "raw", "serve"]


@contextmanager
def running(*arguments: str) -> Iterator[Client]:
    """A client of a command that serves."""
    command = [sys.executable, "-m", "firstbyte", *arguments, "--port", "0", "--no-access-log"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            while (match := re.search(r"on http://127\.0\.0\.1:(\d+)", line := process.stderr.readline())) is None:
                assert line, "it ended before it served"
            client = Client(int(match[1]))
            yield client
            client.close()
        finally:
            process.terminate()


def test_the_command_passes_on(raw: MakeRaw) -> None:
    first, second = Upstream(), Upstream()
    settings = ("--via", "here", "--host-header", "upstream", "--upstream-timeout-first-byte", "7", "--rewrite")
    url = raw(first).url
    with running("proxy", url, *settings, "--route", f"/api={raw(second).url}/v1") as client:
        assert ask(client, path="/a")[1]["via"] == "1.1 here"
        assert ask(client, path="/api/b")[0] == 200
        assert ask(client, path="/api")[0] == 200
        assert ask(client, path="/apis")[0] == 200
    assert [head[0] for head in first.heads] == ["GET /a HTTP/1.1", "GET /apis HTTP/1.1"]
    assert [head[0] for head in second.heads] == ["GET /v1/b HTTP/1.1", "GET /v1/ HTTP/1.1"]
    assert first.fields("host") == [url.removeprefix("http://")]


def test_routes_stand_before_any_handler(serve: Serve, raw: MakeRaw) -> None:
    upstream, inner = Upstream(), Upstream()
    app = App()
    app.add_route("/api/own", lambda: "own")
    app.add_route("/own", lambda: "own")
    routes = (f"/api={raw(upstream).url}", f"/api/inner={raw(inner).url}/")
    client = serve(Proxying().with_routes(app, routes, False)).client()
    assert ask(client, path="/own")[2] == b"own"
    assert ask(client, path="/api/own")[2] == b"ok"
    assert ask(client, path="/api/inner/x?y")[2] == b"ok"
    assert upstream.heads[0][0] == "GET /api/own HTTP/1.1"
    assert inner.heads[0][0] == "GET /x?y HTTP/1.1"
    assert inner.fields("x-forwarded-prefix") == ["/api/inner"]


def test_a_route_has_several_servers(serve: Serve, raw: MakeRaw) -> None:
    servers = [raw(Upstream()) for _ in range(2)]
    route = f"/api={servers[0].url},{servers[1].url}"
    client = serve(Proxying().with_routes(App(), [route], False)).client()
    assert [ask(client, path="/api/x")[0] for _ in range(4)] == [200] * 4
    assert [server.connections for server in servers] == [1, 1]


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        (["api=http://a"], "/api=http"),
        (["/api"], "/api=http"),
        (["/api="], "/api=http"),
        (["/api=a:80"], "http://"),
        (["/api=http://a", "/api=http://b"], "twice"),
        (["/api/=http://a"], "prefix"),
    ],
)
def test_what_is_no_route_is_refused(routes: list[str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Proxying().with_routes(App(), routes, False)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["http://a", "--upstream-ca", "x", "--upstream-insecure"],
        ["http://a", "--health", "x"],
        ["http://a", "--upstream-timeout-connect", "0"],
        ["http://a", "--host-header", "other"],
    ],
)
def test_what_is_no_proxy_is_refused(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, ["proxy", *arguments, "--port", "0"])
    assert result.exit_code != 0
