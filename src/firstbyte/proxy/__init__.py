"""The reverse proxy: a handler that has its answers from other servers.

from firstbyte.proxy import Proxy

app.mount("/api", Proxy("http://127.0.0.1:9000"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbyte._lazy import lazy_names

if TYPE_CHECKING:
    from firstbyte.proxy.handler import Proxy
    from firstbyte.proxy.settings import HealthCheck, ProxyTimeouts

__all__ = ["HealthCheck", "Proxy", "ProxyTimeouts"]

_MODULES = {
    "HealthCheck": "firstbyte.proxy.settings",
    "Proxy": "firstbyte.proxy.handler",
    "ProxyTimeouts": "firstbyte.proxy.settings",
}
if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
