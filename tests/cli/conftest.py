"""The server of engine.support, for every test of this folder."""

from engine.support import driver, serve

__all__ = ["driver", "serve"]
