"""The fixtures of engine.support, for every test of this folder."""

from engine.support import app, poller, serve

__all__ = ["app", "poller", "serve"]
