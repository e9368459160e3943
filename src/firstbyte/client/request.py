"""One request of the client: made and checked once, and its head as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from firstbyte.client.bodies import Body
from firstbyte.errors import InvalidRequest
from firstbyte.http.headers import TOKEN, Headers
from firstbyte.http.url import URL

SCHEMES = ("http", "https", "http+unix", "https+unix")


class ClientRequest:
    """What is sent: `method`, `url`, `headers` and `body`, which may be changed until it is sent.

    Content-Length and Transfer-Encoding are written with the head, by the body's length; Host by the URL unless a
    header gives it. Raises InvalidRequest for a method that is no token.
    """

    __slots__ = ("body", "headers", "method", "url")

    def __init__(self, method: str, url: URL, headers: Headers, body: Body | None = None) -> None:
        if method not in _METHODS:
            if TOKEN.fullmatch(method) is None:
                raise InvalidRequest(f"the method {method!r} is no token (RFC 9110 section 9.1)")
            method = method.upper() if method.upper() in _METHODS else method
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body

    def encode_head(self, via_proxy: bool = False, more: Sequence[tuple[str, str]] = ()) -> bytes:
        """The head as it is sent, with `more` fields behind its own; see `encode_head`."""
        return encode_head(self.method, self.url, self.headers.fields(), self.body, via_proxy, more)

    def __repr__(self) -> str:
        return f"<ClientRequest {self.method} {self.url!r}>"


class Message:
    """A request as it is sent: not to be changed.

    `can_be_repeated` says whether to do so does no harm and is possible, `expects_continue` whether the body waits for
    a 100, `upgrades` whether the answer may be 101.
    """

    __slots__ = ("body", "can_be_repeated", "expects_continue", "head", "method", "upgrades")

    def __init__(
        self,
        method: str,
        head: bytes,
        body: Body | None = None,
        can_be_repeated: bool = False,
        expects_continue: bool = False,
        upgrades: bool = False,
    ) -> None:
        self.method = method
        self.head = head
        self.body = body
        self.can_be_repeated = can_be_repeated
        self.expects_continue = expects_continue
        self.upgrades = upgrades


def encode_head(
    method: str,
    url: URL,
    fields: Sequence[tuple[str, str, str]],
    body: Body | None = None,
    via_proxy: bool = False,
    more: Sequence[tuple[str, str]] = (),
) -> bytes:
    """The head of a request with the `fields` of `Headers.fields`, and `more` behind them; in absolute-form for a proxy
    (RFC 9112 section 3.2).

    Raises InvalidRequest.
    """
    target = f"{url.origin}{url.target}" if via_proxy else url.target
    if method == "OPTIONS" and url.path == "/*" and not url.query:
        target = "*"  # RFC 9110 section 9.3.7: the server as a whole
    host = host_of(url)
    lines = []
    for lowered, name, value in fields:
        if lowered not in _WRITTEN_HERE:
            lines.append(f"{name}: {value}")
        elif lowered == "host":
            host = value
        elif lowered == "transfer-encoding":
            raise InvalidRequest("Transfer-Encoding is the client's to write: pass an iterator for a chunked body")
        elif value != str(length := body.length if body is not None else 0):
            raise InvalidRequest(f"Content-Length: {value} is not the length of the body, which is {length}")
    if body is not None:
        lines.append("Transfer-Encoding: chunked" if body.length is None else f"Content-Length: {body.length}")
    elif method in _WITH_BODY:
        lines.append("Content-Length: 0")  # RFC 9110 section 8.6
    lines += [f"{name}: {value}" for name, value in more]
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode("latin-1")


@lru_cache(maxsize=1024)
def parse_url(text: str, base: URL | None = None) -> URL:
    """The absolute URL that `text` is, or means at `base`. Raises InvalidRequest.

    What a reference without a scheme and a leading slash means is the base with it behind, as everyone expects of one:
    `/v1` and `items` give `/v1/items`.
    """
    try:
        if base is None or "://" in text.partition("?")[0]:
            url = URL.parse(text)
        else:
            base_path = base.path if base.path.endswith("/") else base.path + "/"
            path, mark, query = text.partition("?")
            url = URL.parse(f"{_without_path(base)}{base_path}{path.lstrip('/')}{mark}{query}")
    except ValueError as error:
        raise InvalidRequest(str(error)) from None
    if url.scheme not in SCHEMES:
        raise InvalidRequest(f"the scheme {url.scheme} is not spoken here: http and https are")
    return url


def host_of(url: URL) -> str:
    """The value of Host: the server behind a Unix socket has no name but this one."""
    return "localhost" if url.scheme.endswith("+unix") else url.authority


def _without_path(url: URL) -> str:
    text = str(URL(url.scheme, url.host, url.port, "/", "", "", url.username, url.password))
    return text[:-1]


_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"))
_WRITTEN_HERE = frozenset(("host", "content-length", "transfer-encoding"))
_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))
