"""What the client's decisions see of a request and of its answer: no more than they need."""

from __future__ import annotations

from typing import Protocol

from firstbyte.client.bodies import Body
from firstbyte.http.headers import Headers
from firstbyte.http.url import URL


class Sent(Protocol):
    """What is asked of a request. Its headers are the caller's and the auth's; the jar's cookies, the lengths and the
    Host of the wire are not among them."""

    @property
    def method(self) -> str: ...
    @property
    def url(self) -> URL: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def body(self) -> Body | None: ...


class Answer(Protocol):
    """What is asked of the answer to it."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Headers: ...
