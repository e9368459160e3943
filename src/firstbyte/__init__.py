"""A web server, micro framework and HTTP client that its users can see through, written from the socket up."""

from firstbyte._compiled import compiled  # isort: split

from typing import TYPE_CHECKING

from firstbyte._lazy import lazy_names

if TYPE_CHECKING:
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
    from firstbyte.http.send_file import send_file
    from firstbyte.http.uploads import UploadedFile
    from firstbyte.wire.limits import Limits

__version__ = "0.1.0"

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
    "send_file",
]

_MODULES = {
    "App": "firstbyte.app.application",
    "Endpoint": "firstbyte.http.handler",
    "Event": "firstbyte.http.events",
    "FirstbyteError": "firstbyte.errors",
    "FormLimits": "firstbyte.http.limits",
    "HTTPError": "firstbyte.errors",
    "Handler": "firstbyte.http.handler",
    "Headers": "firstbyte.http.headers",
    "Limits": "firstbyte.wire.limits",
    "Request": "firstbyte.http.request",
    "Response": "firstbyte.http.response",
    "Server": "firstbyte.engine.server",
    "Timeouts": "firstbyte.engine.timeouts",
    "UploadedFile": "firstbyte.http.uploads",
    "event_stream": "firstbyte.app.event_streams",
    "send_file": "firstbyte.http.send_file",
}
if not TYPE_CHECKING:  # tools would believe that there is every name
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
