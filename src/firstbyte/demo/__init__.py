"""The demo: a small site and its tasks API, and a client that walks through both."""
