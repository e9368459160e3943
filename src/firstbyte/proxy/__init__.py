"""The reverse proxy: a handler that has its answers from other servers.

from firstbyte.proxy import Proxy

app.mount("/api", Proxy("http://127.0.0.1:9000"))
"""

from __future__ import annotations

from firstbyte.proxy.handler import Proxy
from firstbyte.proxy.settings import HealthCheck, ProxyTimeouts

__all__ = ["HealthCheck", "Proxy", "ProxyTimeouts"]
