"""A plugin: every request gets an id, which its handler, its log lines and its answer have.

    app.install(request_ids, header="X-Request-ID")

To be tried: `firstbyte run examples/plugin_request_id.py:app`.
"""

import logging
import re
import secrets
from contextvars import ContextVar
from time import perf_counter

from firstbyte import App, Request

logger = logging.getLogger("plugin.request_id")
current = ContextVar("request_id", default="-")
_GOOD = re.compile(r"[A-Za-z0-9_-]{8,64}")


class RequestID(str):
    """The id of a request; handlers ask for it by this type."""


class InLogs(logging.Filter):
    """Puts the id into every log record, as %(request_id)s."""

    def filter(self, record):
        """Lets everything through."""
        record.request_id = current.get()
        return True


def request_ids(app, header="X-Request-ID", trusted=False, timing=True):
    """The plugin: `header` is the answer's field; an id that comes in it is taken where the clients are `trusted`.

    With `timing`, Server-Timing says how long the handler took.
    """

    @app.middleware
    def identified(request: Request):
        came = request.headers.get(header, "")
        request.state.id = came if trusted and _GOOD.fullmatch(came) else secrets.token_hex(8)
        token = current.set(request.state.id)
        start = perf_counter()
        try:
            response = yield
        finally:
            current.reset(token)
        response.headers[header] = request.state.id
        if timing:
            response.headers["Server-Timing"] = f"app;dur={(perf_counter() - start) * 1e3:.1f}"
        return response

    @app.provide
    def request_id(request: Request) -> RequestID:
        return RequestID(request.state.id)

    # A group has no signals of its own: they are the app's, the first of its chain.
    @app.chain[0].request_failed.connect
    def failed(request: Request, error: BaseException):
        if hasattr(request.state, "id"):
            logger.error("request %s failed: %r", request.state.id, error)


app = App()
app.install(request_ids, timing=True)


@app.get("/")
def home(identifier: RequestID):
    return f"you are request {identifier}"


@app.get("/fail")
def fail():
    raise ValueError("on purpose")
