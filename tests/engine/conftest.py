"""The fixtures of engine.support and engine.websocket_support, for every test of this folder."""

from engine.support import app, connect, driver, each_driver, poller, serve
from engine.websocket_support import is_async, kind, stay

__all__ = ["app", "connect", "driver", "each_driver", "is_async", "kind", "poller", "serve", "stay"]
