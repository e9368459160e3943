"""What a client is told of an upstream server that does not do: the status, and a sentence without addresses."""

from __future__ import annotations

from firstbyte.errors import (
    BadResponse,
    ClientError,
    ConnectError,
    ConnectTimeout,
    PoolTimeout,
    ReadTimeout,
    ResolveError,
    ServerClosed,
    TLSError,
    WriteTimeout,
)

# The first that fits.
_FAILURES: tuple[tuple[type[ClientError], int, str], ...] = (
    (ConnectTimeout, 504, "The server behind this one did not accept a connection in time."),
    (PoolTimeout, 503, "All connections to the server behind this one are in use."),
    (ReadTimeout, 504, "The server behind this one did not answer in time."),
    (WriteTimeout, 504, "The server behind this one did not take the request in time."),
    (TLSError, 502, "The server behind this one could not be reached securely."),
    (ResolveError, 502, "The server behind this one could not be found."),
    (ConnectError, 502, "The server behind this one could not be reached."),
    (ServerClosed, 502, "The server behind this one closed the connection without a whole answer."),
    (BadResponse, 502, "The server behind this one gave an answer that is no valid HTTP."),
    (ClientError, 502, "The server behind this one could not be asked."),
)


def what_failed(error: ClientError) -> tuple[int, str]:
    """The status of the answer to a request that could not be passed on, and what to say."""
    return next((status, text) for kind, status, text in _FAILURES if isinstance(error, kind))
