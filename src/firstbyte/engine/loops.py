"""Which event loop the driver runs in."""

from __future__ import annotations

import asyncio

from firstbyte.errors import ConfigurationError


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    """A loop of that name: asyncio, uvloop, or auto for uvloop where it is installed. Raises ConfigurationError."""
    if name != "asyncio":
        try:
            import uvloop
        except ImportError:
            if name == "uvloop":
                raise ConfigurationError("uvloop is not installed: pip install firstbyte[uvloop]") from None
        else:
            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
            return loop
    return asyncio.new_event_loop()
