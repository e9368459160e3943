"""The fixtures of engine.support, for every test of this folder."""

from engine.support import app, driver, each_driver, poller, serve

__all__ = ["app", "driver", "each_driver", "poller", "serve"]
