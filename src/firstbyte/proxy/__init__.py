"""The reverse proxy: a handler that has its answers from other servers.

from firstbyte.proxy import Proxy

app.mount("/api", Proxy("http://127.0.0.1:9000"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firstbyte.proxy.settings import HealthCheck, ProxyTimeouts

if TYPE_CHECKING:
    from firstbyte.proxy.handler import Proxy

__all__ = ["HealthCheck", "Proxy", "ProxyTimeouts"]


def __getattr__(name: str) -> Any:
    """`Proxy` when it is asked for: the command line reads the settings' names, and asyncio takes long to import."""
    if name != "Proxy":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from firstbyte.proxy.handler import Proxy

    return Proxy
