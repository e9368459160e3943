"""What a session tells while it works, and how long each phase took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from firstbyte.errors import ClientError

if TYPE_CHECKING:
    from firstbyte.client.request import ClientRequest
    from firstbyte.client.response import ClientResponse


class Timings(NamedTuple):
    """Seconds of each phase of one exchange, in order; None for what did not happen: a kept connection has only the
    last three.

    `resolve` the name, `connect` the socket and the proxy, `tls` the handshake, `sent` the request, `first_byte` the
    wait for the answer from then on, `done` the rest of it. `done` is None until the body is read.
    """

    resolve: float | None
    connect: float | None
    tls: float | None
    sent: float | None
    first_byte: float | None
    done: float | None


@dataclass(frozen=True, slots=True)
class Hooks:
    """Functions that are called as a session works; they may change the request's headers and nothing else, and what
    they raise ends the call.

    `request` before each exchange, retries and redirects included; `response` when the head of its answer is there;
    `error` when the call ends without one. `sent` and `received` are given the bytes of the wire, those of the TLS
    layer in the clear.
    """

    request: Callable[[ClientRequest], None] | None = None
    response: Callable[[ClientResponse], None] | None = None
    error: Callable[[ClientRequest, ClientError], None] | None = None
    sent: Callable[[bytes], None] | None = None
    received: Callable[[bytes], None] | None = None
