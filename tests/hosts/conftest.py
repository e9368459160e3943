"""Real servers for hosted applications."""

from engine.support import driver, each_driver, serve
from engine.websocket_support import stay

__all__ = ["driver", "each_driver", "serve", "stay"]
