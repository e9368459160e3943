"""The fixture of httpserver.support, for every test of this folder."""

from httpserver.support import start

__all__ = ["start"]
