"""A web server, micro framework and HTTP client that its users can see through, written from the socket up."""

from firstbyte._compiled import compiled_modules  # isort: split

from firstbyte.app.application import App
from firstbyte.app.event_streams import event_stream
from firstbyte.engine.server import Server
from firstbyte.engine.timeouts import Timeouts
from firstbyte.errors import FirstbyteError, HTTPError
from firstbyte.http.events import Event
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.headers import Headers
from firstbyte.http.limits import FormLimits
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.http.uploads import UploadedFile
from firstbyte.wire.limits import Limits

__version__ = "0.1.0"
compiled = bool(compiled_modules())
"""Whether the modules on a request's way run compiled (see docs/install.md)."""

__all__ = [
    "App",
    "Endpoint",
    "Event",
    "FirstbyteError",
    "FormLimits",
    "HTTPError",
    "Handler",
    "Headers",
    "Limits",
    "Request",
    "Response",
    "Server",
    "Timeouts",
    "UploadedFile",
    "__version__",
    "compiled",
    "event_stream",
]
