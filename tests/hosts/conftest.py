"""Real servers for hosted applications."""

from engine.support import driver, each_driver, serve
from engine.websocket_support import stay
from hosts.support import each_loop, told

__all__ = ["driver", "each_driver", "each_loop", "serve", "stay", "told"]
