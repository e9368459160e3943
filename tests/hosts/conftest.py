"""Real servers for hosted applications."""

from engine.support import driver, serve

__all__ = ["driver", "serve"]
