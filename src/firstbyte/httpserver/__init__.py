"""What `http.server` has, on firstbyte's engine: programs written for it run when they import from here instead.

The classes are subclasses of the standard library's, so that every name it documents is there and means the same; what
they replace is how requests are read, how answers are written and who runs the handlers. docs/http-server.md has the
table of what differs.
"""

from __future__ import annotations

from firstbyte.httpserver.handlers import BaseHTTPRequestHandler, CGIHTTPRequestHandler, SimpleHTTPRequestHandler
from firstbyte.httpserver.servers import HTTPServer, ThreadingHTTPServer, test

__all__ = [
    "BaseHTTPRequestHandler",
    "CGIHTTPRequestHandler",
    "HTTPServer",
    "SimpleHTTPRequestHandler",
    "ThreadingHTTPServer",
    "test",
]
