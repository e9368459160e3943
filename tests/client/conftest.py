"""The fixtures of client.support, for every test of this folder."""

from client.support import face, raw
from engine.support import driver, serve

__all__ = ["driver", "face", "raw", "serve"]
