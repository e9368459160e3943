"""Serving a folder from the command line."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import click
import pytest
from click.testing import CliRunner

import needs
from cli.test_cli import fetch, running
from firstbyte import App, Handler, Request, Response
from firstbyte.cli import commands, reach, serving_files
from firstbyte.cli.file_options import plain_arguments
from firstbyte.errors import ConfigurationError
from firstbyte.http.request import Address

PYTHON_M = [sys.executable, "-m", "firstbyte"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "index.html").write_text("home")
    (tmp_path / "app.js").write_text("js" * 1000)
    (tmp_path / "about.html").write_text("about")
    (tmp_path / ".hidden").write_text("hidden")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("--cors", "--cors=*"),
        ("--cors 8000", "--cors=* 8000"),
        ("--cors https://a.org http://b.org:1 8000 -d x", "--cors=https://a.org --cors=http://b.org:1 8000 -d x"),
        ("--cors * 8000", "--cors=* 8000"),
        ("--cors=https://a.org 1", "--cors=https://a.org 1"),
        ("-H X-A:b 1", "--header=X-A:b 1"),
        ("-H X-A b --header X-C d 1", "--header=X-A:~b --header=X-C:~d 1"),
        ("--header=X-A:b", "--header=X-A:b"),
        ("-H", "-H"),
        ("-H X-A", "--header=X-A"),
        ("-- --cors", "-- --cors"),
    ],
)
def test_arguments(given: str, plain: str) -> None:
    assert plain_arguments(given.split()) == [word.replace("~", " ") for word in plain.split()]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `serve` is called with."""
    seen: dict[str, Any] = {}

    def serve(load: Any, what: str, **options: Any) -> int:
        seen.update(options, app=load(), what=what)
        return 0

    monkeypatch.setattr(serving_files, "serve", serve)
    return seen


def ask(handler: Handler, method: str, target: str, **fields: str) -> Response:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    request = Request.build(method, target, headers)
    response = handler.resolve(request).call(request)
    assert isinstance(response, Response)
    return response


def run(*arguments: str) -> None:
    done = CliRunner().invoke(commands.cli, arguments, standalone_mode=False)
    if done.exception is not None:
        raise done.exception


def test_the_options_of_http_server(site: Path, served: dict[str, Any]) -> None:
    """Those that 3.15 has, in its spelling."""
    line = "folder 9000 -b 0.0.0.0 -d . -p HTTP/1.0 --cors -H X-One 1 --header X-Two 2 --tls-cert c --tls-key k"
    run(*line.split(), "--tls-password-file", "p")
    assert (served["host"], served["port"]) == ("0.0.0.0", 9000)
    assert (served["network"].tls_cert, served["network"].tls_password_file) == (("c",), "p")
    answer = ask(served["app"], "GET", "/app.js")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert (answer.headers["x-one"], answer.headers["x-two"], answer.headers["connection"]) == ("1", "2", "close")
    run("folder")
    assert (served["host"], served["port"]) == ("127.0.0.1", 8000)
    assert "connection" not in ask(served["app"], "GET", "/app.js").headers


@pytest.mark.parametrize(
    ("options", "path", "fields", "expected"),
    [
        ((), "/sub/", {}, (200, None)),
        (("--no-listing",), "/sub/", {}, (404, None)),
        (("--spa",), "/deep/link", {"accept": "text/html"}, (200, b"home")),
        (("--clean-urls",), "/about", {}, (200, b"about")),
        (("--hidden",), "/.hidden", {}, (200, b"hidden")),
        (("--auth", "jane:secret"), "/", {}, (401, None)),
        (("--auth", "jane:secret"), "/", {"authorization": "Basic amFuZTpzZWNyZXQ="}, (200, b"home")),
    ],
)
def test_options(
    site: Path, served: dict[str, Any], options: tuple[str, ...], path: str, fields: dict[str, str], expected: Any
) -> None:
    run("serve", str(site), *options)
    answer = ask(served["app"], "GET", path, **fields)
    assert (answer.status, answer.body if expected[1] else None) == expected


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (("--cache", "*.js=1y,immutable", "--cache", "*=0"), "cache-control", "max-age=31536000, immutable"),
        (("--no-cache",), "cache-control", "no-cache"),
        (("--content-type", "text/x-unknown"), "content-type", "text/javascript; charset=utf-8"),
        (("--mime", ".js=text/plain", "--charset", "latin-1"), "content-type", "text/plain; charset=latin-1"),
        (("--cors", "https://a.org", "https://b.org"), "access-control-allow-origin", "https://b.org"),
        (("--cors", "https://a.org,https://b.org"), "access-control-allow-origin", "https://b.org"),
        ((), "content-encoding", "gzip"),
        (("--no-compress",), "content-encoding", None),
    ],
)
def test_fields(site: Path, served: dict[str, Any], options: tuple[str, ...], field: str, value: str | None) -> None:
    run("serve", *options)
    answer = ask(served["app"], "GET", "/app.js", origin="https://b.org", accept_encoding="gzip")
    assert answer.headers.get(field) == value


@pytest.mark.parametrize(
    "options",
    [
        ("none",),
        ("--cgi",),
        ("--cache", "x"),
        ("-H", "x"),
        ("--mime", "x"),
        ("--content-type", "x"),
        ("--auth", "x"),
        ("--cors=x",),
        ("--hidden", "--upload"),
    ],
)
def test_what_cannot_work(site: Path, served: dict[str, Any], options: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError):
        run("serve", *options)
    with pytest.raises(click.UsageError):
        run("serve", "--protocol", "HTTP/3")


def test_a_password_of_a_key_in_a_file(site: Path, served: dict[str, Any]) -> None:
    (site / "password").write_text("secret\n")
    run("serve", "--tls-cert", "c", "--tls-password-file", "password")
    assert served["network"]._key_password() == "secret"
    run("serve", "--tls-cert", "c", "--tls-password-file", "none")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        served["network"]._key_password()


def test_how_to_open_it_to_the_network_is_said(site: Path) -> None:
    with running(site, "serve", "--port", "0", "--no-access-log") as (process, port):
        assert fetch(port)[1] == b"home"
        assert process.stderr is not None
        assert "only this machine can reach it; --bind 0.0.0.0" in process.stderr.readline()


def test_the_addresses_of_the_network(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(reach, "own_addresses", lambda version: ["192.0.2.7", "192.0.2.8"])
    reach.say_reach([Address("0.0.0.0", 8000)], "https")
    assert (
        capsys.readouterr().err
        == "  on the network: https://192.0.2.7:8000\n  on the network: https://192.0.2.8:8000\n"
    )
    reach.say_reach([Address("/run/socket", 0)], "http")
    assert capsys.readouterr().err == ""


def test_own_addresses() -> None:
    for version in (4, 6):
        assert not [host for host in reach.own_addresses(version) if host.startswith("127.") or host == "::1"]


def test_a_code_for_a_phone(site: Path) -> None:
    """On a terminal, where there is one to see."""
    needs.package("segno")
    ours, theirs = pty.openpty()
    with subprocess.Popen([*PYTHON_M, "0", "--bind", "0.0.0.0"], stderr=theirs, cwd=site) as process:
        os.close(theirs)
        text = ""
        until = monotonic() + 60
        while "▀" not in text and monotonic() < until and (reach.own_addresses() or "serves" not in text):
            if select.select([ours], [], [], 1)[0]:
                text += os.read(ours, 65536).decode(errors="replace")
        process.terminate()
        os.close(ours)
    if reach.own_addresses():
        assert re.search(r"on the network: http://[0-9.]+:[0-9]+\s", text)
        assert "▀" in text


def test_errors_are_pages(site: Path, served: dict[str, Any]) -> None:
    run("folder")
    assert not isinstance(served["app"], App)  # which would look for a route of its own first
    assert ask(served["app"], "GET", "/none", accept="text/html").content_type == "text/html; charset=utf-8"
    assert ask(served["app"], "GET", "/none").content_type == "application/problem+json"
    refused = ask(served["app"], "POST", "/")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert ask(served["app"], "GET", "/%zz").status == 400
