"""The fixtures of proxy.support, for every test of this folder."""

from client.support import raw
from engine.support import driver, serve
from proxy.support import proxied

__all__ = ["driver", "proxied", "raw", "serve"]
