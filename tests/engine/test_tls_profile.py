"""TLS as a scanner sees it: the intermediate profile of Mozilla (wiki.mozilla.org/Security/Server_Side_TLS)."""

import subprocess
import sys

import pytest

import needs
from firstbyte import App
from firstbyte.cli.tls_dev import development_certificate


def scan(port, authority):
    command = [sys.executable, "-m", "sslyze", "--mozilla_config=intermediate", "--certinfo_ca_file", authority]
    return subprocess.run(
        [*command, f"localhost:{port}"], capture_output=True, text=True, timeout=120, check=False
    ).stdout


@pytest.mark.parametrize("loop", ["auto", "asyncio"])
def test_a_scanner_finds_the_intermediate_profile_kept(serve, tmp_path, loop):
    needs.package("sslyze")
    made = development_certificate(tmp_path)
    running = serve(App(), tls=made.tls, loop=loop)
    found = scan(running.server.port, made.authority)
    assert f"localhost:{running.server.port}: OK - Compliant." in found, found
