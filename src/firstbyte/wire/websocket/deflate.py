"""Compression of WebSocket messages: permessage-deflate (RFC 7692), its negotiation and both of its ends."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, replace

from firstbyte.errors import ProtocolError
from firstbyte.wire.websocket.frames import BAD_DATA, TOO_BIG, refuse

NAME = "permessage-deflate"

_TAIL = b"\x00\x00\xff\xff"  # what a flush ends with, and the wire leaves out (section 7.2.1)
_EMPTY = b"\x00"  # an empty block without its tail: what a message compresses to that has nothing left to say
_LEAST_BITS = 9  # what zlib compresses within; it expands within 8 as well
_MOST_BITS = 15
_MAX_FINAL = 16  # final blocks within one message; few writers make any


@dataclass(frozen=True, slots=True)
class Deflate:
    """How messages are compressed: what this end wants, then what both have agreed on (section 7.1).

    `server_` is what the server compresses, `client_` what the client does. Without context takeover each message is
    compressed by itself: less memory, longer messages. `..._max_window_bits` is how far back compression looks, as a
    power of two of bytes, 8 to 15. The others are this end's own: zlib's `level` (0 to 9) and `memory` (1 to 9), and
    the least number of bytes of a message that is compressed at all. Raises ValueError for what is none of these.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = 12
    client_max_window_bits: int = 12
    level: int = 6
    memory: int = 5
    threshold: int = 64

    def __post_init__(self) -> None:
        for bits in (self.server_max_window_bits, self.client_max_window_bits):
            if not 8 <= bits <= _MOST_BITS:
                raise ValueError(f"a window has 8 to 15 bits, not {bits}")
        if not (0 <= self.level <= 9 and 1 <= self.memory <= 9):
            raise ValueError(f"zlib's level is 0 to 9 and its memory 1 to 9, not {self.level} and {self.memory}")

    def compressor(self, is_client: bool) -> Compressor | None:
        """What this end sends with; None where zlib cannot keep to the window: then nothing is compressed, as it may.

        `self` is what was agreed on.
        """
        bits = self.client_max_window_bits if is_client else self.server_max_window_bits
        resets = self.client_no_context_takeover if is_client else self.server_no_context_takeover
        return Compressor(self, bits, resets) if bits >= _LEAST_BITS else None

    def decompressor(self, is_client: bool) -> Decompressor:
        """What this end receives with; `self` is what was agreed on."""
        if is_client:
            return Decompressor(self.server_max_window_bits, self.server_no_context_takeover)
        return Decompressor(self.client_max_window_bits, self.client_no_context_takeover)


WIDE = Deflate(server_max_window_bits=15, client_max_window_bits=15)
"""What a client wants, whose connections are few: the server may look back as far as it likes."""


# -- negotiation


def answer_offers(value: str | None, wanted: Deflate) -> tuple[Deflate, str] | None:
    """What a server makes of the field Sec-WebSocket-Extensions: the agreement, and the field of its answer.

    None if the client offers no compression that can be had. Raises ProtocolError 400 for a field that is malformed.
    """
    for name, parameters in parse_extensions(value or ""):
        offered = _read(parameters, may_be_bare=True) if name == NAME else None
        if offered is None:
            continue  # section 5.1: an offer with what is unknown or invalid is declined, and the next one looked at
        server_bits = min(wanted.server_max_window_bits, offered.get("server_max_window_bits") or _MOST_BITS)
        client_bits = offered.get("client_max_window_bits", _MOST_BITS) or _MOST_BITS
        may_limit_client = "client_max_window_bits" in offered
        if may_limit_client:
            client_bits = min(wanted.client_max_window_bits, client_bits)
        agreed = replace(
            wanted,
            server_no_context_takeover=wanted.server_no_context_takeover or "server_no_context_takeover" in offered,
            client_no_context_takeover=wanted.client_no_context_takeover or "client_no_context_takeover" in offered,
            server_max_window_bits=server_bits,
            client_max_window_bits=client_bits,
        )
        answer = NAME
        if agreed.server_no_context_takeover:
            answer += "; server_no_context_takeover"
        if agreed.client_no_context_takeover:
            answer += "; client_no_context_takeover"
        if "server_max_window_bits" in offered:
            answer += f"; server_max_window_bits={server_bits}"
        if may_limit_client and client_bits < _MOST_BITS:
            answer += f"; client_max_window_bits={client_bits}"
        return agreed, answer
    return None


def offer(wanted: Deflate) -> str:
    """What a client puts into the field Sec-WebSocket-Extensions."""
    value = NAME
    if wanted.server_no_context_takeover:
        value += "; server_no_context_takeover"
    if wanted.client_no_context_takeover:
        value += "; client_no_context_takeover"
    if wanted.server_max_window_bits < _MOST_BITS:
        value += f"; server_max_window_bits={wanted.server_max_window_bits}"
    value += "; client_max_window_bits"
    if wanted.client_max_window_bits < _MOST_BITS:
        value += f"={wanted.client_max_window_bits}"
    return value


def check_answer(value: str | None, wanted: Deflate | None) -> Deflate | None:
    """What a client, which offered `wanted`, makes of the server's answer; None for no compression.

    Raises ProtocolError for an answer that agrees to what was not offered.
    """
    extensions = parse_extensions(value or "")
    if not extensions:
        return None
    (name, parameters), *more = extensions
    if wanted is None or name != NAME or more:
        raise _bad(f"the server has chosen extensions that were not offered: {value}")
    answered = _read(parameters, may_be_bare=False)
    if answered is None:
        raise _bad(f"the server's answer to the offer of compression is invalid: {value}")
    server_bits = answered.get("server_max_window_bits", _MOST_BITS) or _MOST_BITS
    client_bits = answered.get("client_max_window_bits", _MOST_BITS) or _MOST_BITS
    if server_bits > wanted.server_max_window_bits or (
        client_bits > wanted.client_max_window_bits and "client_max_window_bits" in answered
    ):
        raise _bad(f"the server wants a larger window than was offered: {value}")
    if wanted.server_no_context_takeover and "server_no_context_takeover" not in answered:
        raise _bad(f"the server does not give up its context takeover as it was asked to: {value}")
    return replace(
        wanted,
        server_no_context_takeover="server_no_context_takeover" in answered,
        client_no_context_takeover=wanted.client_no_context_takeover or "client_no_context_takeover" in answered,
        server_max_window_bits=server_bits,
        client_max_window_bits=min(client_bits, wanted.client_max_window_bits),
    )


def parse_extensions(value: str) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """The field Sec-WebSocket-Extensions: names with their parameters, in order (RFC 6455 section 9.1).

    A parameter without a value has None. Raises ProtocolError 400 for a malformed field.
    """
    extensions: list[tuple[str, list[tuple[str, str | None]]]] = []
    at = 0
    while at < len(value):
        match = _EXTENSION.match(value, at)
        if match is None:
            raise _bad(f"{value[:100]!r} is no list of extensions")
        at = match.end()
        if match[1]:  # else an empty element, which a list may have (RFC 9110 section 5.6.1)
            parameters = [(name, quoted or plain or None) for name, plain, quoted in _PARAMETER.findall(match[2])]
            extensions.append((match[1], parameters))
    return extensions


_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # noqa: S105
_ONE_PARAMETER = rf'[ \t]*+;[ \t]*+({_TOKEN})(?:[ \t]*+=[ \t]*+(?:({_TOKEN})|"({_TOKEN})"))?+'
_PARAMETER = re.compile(_ONE_PARAMETER)
_EXTENSION = re.compile(
    rf"[ \t]*+(?:({_TOKEN})((?:{_ONE_PARAMETER.replace('(' + _TOKEN, '(?:' + _TOKEN)})*+))?+[ \t]*+(?:,|$)"
)
_BITS = re.compile(r"[89]|1[0-5]")


def _read(parameters: list[tuple[str, str | None]], may_be_bare: bool) -> dict[str, int | None] | None:
    """The parameters by name; None if one is unknown, doubled or has no value that it may have (section 7.1).

    In an offer client_max_window_bits may be bare, without a value.
    """
    found: dict[str, int | None] = {}
    for name, value in parameters:
        if name in found:
            return None
        if name in ("server_no_context_takeover", "client_no_context_takeover"):
            if value is not None:
                return None
            found[name] = None
        elif name in ("server_max_window_bits", "client_max_window_bits"):
            if value is None and may_be_bare and name == "client_max_window_bits":
                found[name] = None
            elif value is not None and _BITS.fullmatch(value):
                found[name] = int(value)
            else:
                return None
        else:
            return None
    return found


def _bad(message: str) -> ProtocolError:
    return ProtocolError(400, "websocket-extensions", message)


# -- messages


class Compressor:
    """Compresses the messages that one end sends. Its memory is taken with the first one."""

    __slots__ = ("_bits", "_deflate", "_resets", "_zlib", "threshold")

    def __init__(self, deflate: Deflate, bits: int, resets: bool) -> None:
        self._deflate = deflate
        self._bits = bits
        self._resets = resets
        self._zlib: zlib._Compress | None = None
        self.threshold = deflate.threshold

    def compress(self, data: bytes, fin: bool) -> bytes:
        """The next piece of a message as the payload of a frame; `fin` for its last."""
        if self._zlib is None:
            self._zlib = zlib.compressobj(self._deflate.level, zlib.DEFLATED, -self._bits, self._deflate.memory)
        payload = self._zlib.compress(data) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        if fin:
            # A flush with nothing behind the one before gives nothing, not even its tail.
            payload = payload.removesuffix(_TAIL) if payload else _EMPTY
            if self._resets:
                self._zlib = None
        return payload


class Decompressor:
    """Decompresses the messages that one peer sends, never beyond what it is told they may hold."""

    __slots__ = ("_bits", "_final", "_resets", "_zlib")

    def __init__(self, bits: int, resets: bool) -> None:
        self._bits = bits
        self._resets = resets
        self._final = 0  # final blocks in this message so far
        self._zlib: zlib._Decompress | None = None

    def decompress(self, payload: bytes, fin: bool, room: int) -> bytes:
        """What the next piece of a message says; `fin` for its last.

        Raises FrameError: 1009 for more than `room` bytes, 1007 for what is no DEFLATE stream.
        """
        if fin:
            payload += _TAIL
        said = b""
        while True:
            if self._zlib is None:
                self._zlib = zlib.decompressobj(-self._bits)
            try:
                said += self._zlib.decompress(payload, room - len(said) + 1)
            except zlib.error as error:
                refuse("deflate", f"a message cannot be decompressed: {error}", BAD_DATA)
            if len(said) > room:
                refuse("message-too-big", "a message is longer than it may be when it is decompressed", TOO_BIG)
            if not self._zlib.eof:
                break
            # A block that says it is the last ends zlib's stream, but not the message (section 7.2.3.5).
            payload, self._zlib = self._zlib.unused_data, None
            self._final += 1
            if self._final > _MAX_FINAL:
                refuse("deflate", f"a message has more than {_MAX_FINAL} final blocks", BAD_DATA)
        if fin:
            self._final = 0
            if self._resets:
                self._zlib = None
        return said
