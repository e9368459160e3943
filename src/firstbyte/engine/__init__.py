"""Moves bytes and calls a Handler: sockets, the reactor, threads. It knows nothing of apps and routes."""
