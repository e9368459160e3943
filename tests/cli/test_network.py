"""The options between the net and the handler, by the command itself."""

from __future__ import annotations

import http.client
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.certificates import client_context, pair
from engine.support import WAIT
from firstbyte.cli.network import Network
from firstbyte.errors import ConfigurationError

APP = """
from firstbyte import App
app = App()
@app.get("/")
def who(request):
    return f"{request.scheme} {request.client.host} {request.url.host}"
"""


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[list[int]]:
    """The ports in the order in which the command names them; it is stopped by SIGTERM."""
    (folder / "who.py").write_text(APP)
    command = [sys.executable, "-m", "firstbyte", "run", "who", "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stderr is not None
        ports: list[int] = []
        while len(ports) < 1 + ("--redirect-http" in arguments):
            line = process.stderr.readline()
            assert line, "the command ended"
            ports += [int(port) for port in re.findall(r"https?://127\.0\.0\.1:(\d+)", line)]
        try:
            yield ports
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
            assert process.wait(WAIT) == 0


def fetch(port: int, context: ssl.SSLContext | None = None, **fields: str) -> tuple[int, str, str | None]:
    connection = (
        http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
        if context is None
        else http.client.HTTPSConnection("localhost", port, timeout=WAIT, context=context)
    )
    connection.request("GET", "/", headers={name.replace("_", "-"): value for name, value in fields.items()})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, body, response.headers["Location"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_tls_and_a_port_that_redirects_to_it(tmp_path: Path, workers: str) -> None:
    cert, key = pair(tmp_path, "localhost")
    options = ("--tls-cert", str(cert), "--tls-key", str(key), "--redirect-http", "0", "--workers", workers)
    with running(tmp_path, *options) as (secure, plain):
        assert fetch(secure, client_context()) == (200, "https 127.0.0.1 localhost", None)
        assert fetch(plain)[0::2] == (308, f"https://127.0.0.1:{secure}/")
        assert fetch(secure)[0] == 400


def test_proxies_are_believed_and_hosts_are_ours(tmp_path: Path) -> None:
    with running(tmp_path, "--trusted-proxies", "127.0.0.1", "--allowed-hosts", "127.0.0.1,*.example.org") as (port,):
        assert fetch(port, X_Forwarded_For="192.0.2.1", X_Forwarded_Proto="https")[1] == "https 192.0.2.1 127.0.0.1"
        assert fetch(port, Host="www.example.org")[1] == "http 127.0.0.1 www.example.org"
        assert fetch(port, Host="evil.net")[0] == 421


def test_nobody_is_believed_by_default(tmp_path: Path) -> None:
    with running(tmp_path) as (port,):
        assert fetch(port, X_Forwarded_For="192.0.2.1", X_Forwarded_Proto="https")[1] == "http 127.0.0.1 127.0.0.1"


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Network(tls_key=("key.pem",)), "--tls-key goes with --tls-cert or --tls-dev"),
        (Network(redirect_http=80), "--redirect-http goes with --tls-cert or --tls-dev"),
        (Network(redirect_http=0), "--redirect-http goes with --tls-cert or --tls-dev"),
        (Network(tls_ca="ca.pem"), "--tls-ca goes with --tls-cert or --tls-dev"),
        (Network(tls_cert=("a",), tls_key=("a", "b")), "more --tls-key than --tls-cert"),
        (Network(tls_dev=True, tls_cert=("a",)), "makes its own certificate"),
        (Network(tls_cert=("/none",)), "cannot read the certificate file"),
    ],
)
def test_options_that_do_not_fit_together(network: Network, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        network.certificates()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Network(forwarded_fields="forwarded"), "--forwarded-fields goes with --trusted-proxies"),
        (Network(trusted_proxies="10.0.0.0/8", forwarded_fields="x-client"), "'x-client' is no field that proxies set"),
        (Network(trusted_proxies="ten"), "'ten' is no network"),
    ],
)
def test_proxies_that_cannot_be(network: Network, message: str) -> None:
    from firstbyte import App

    with pytest.raises(ConfigurationError, match=message):
        network.around(App(), 443, None)
