"""Real servers for hosted applications."""

from engine.support import driver, each_driver, serve

__all__ = ["driver", "each_driver", "serve"]
