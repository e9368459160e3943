"""The fixtures of client.support, for every test of this folder."""

import pytest

from client.support import face, raw
from client.websocket_support import chat_url
from engine.support import driver, serve


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine's environment says."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


__all__ = ["chat_url", "driver", "face", "raw", "serve"]
