"""WebSocket frames: bytes <-> header and payload (RFC 6455 section 5).

A frame is judged byte by byte as it comes: what is wrong is refused before anybody waits for the rest. What frames make
up together (messages, the close handshake) is `protocol`.
"""

from __future__ import annotations

from typing import NoReturn

from firstbyte.errors import FrameError

# Opcodes (section 11.8). Plain integers, since they are compared for every frame.
CONTINUATION = 0
TEXT = 1
BINARY = 2
CLOSE = 8  # from here on: control frames
PING = 9
PONG = 10

MAX_CONTROL = 125  # bytes of a control frame's payload, section 5.5

# Close codes that this package sends by itself (section 7.4.1).
NORMAL = 1000
GOING_AWAY = 1001
BROKEN = 1002  # a rule of the protocol
NO_CODE = 1005  # never sent: the peer's Close had none
ABNORMAL = 1006  # never sent: the connection was cut without a Close
BAD_DATA = 1007
TOO_BIG = 1009
INTERNAL = 1011

_WHOLE_TEXT, _WHOLE_BINARY = 0x80 | TEXT, 0x80 | BINARY  # the first byte of a message in one frame
_PIECE = 32 * 1024  # bytes masked at a time: larger numbers leave the processor's cache


class FrameReader:
    """Reads the frames of one peer, whose payloads are masked if `masked`, of at most `max_frame` bytes each.

    Call `feed` with what came, then `read_header` until it returns False; after each header `read_payload`, which gives
    what is here of the payload; `left` bytes of it are still to come. Of the frame last begun: `opcode`, `fin` (the
    last of its message), `compressed` (RSV1, RFC 7692 section 6, allowed if `deflate`), `length` in bytes.
    Both reading methods raise FrameError.
    """

    __slots__ = (
        "_at", "_buffer", "_deflate", "_key", "_masked", "_max_frame", "compressed", "fin", "left", "length", "opcode",
    )  # fmt: skip

    def __init__(self, masked: bool, max_frame: int, deflate: bool = False) -> None:
        self._masked = masked
        self._max_frame = max_frame
        self._deflate = deflate
        self._buffer = b""
        self._at = 0
        self._key = b""  # the mask, turned to fit the next byte of the payload
        self.opcode = 0
        self.fin = True
        self.compressed = False
        self.length = 0
        self.left = 0

    def feed(self, data: bytes) -> None:
        """Takes the bytes that came next."""
        # What is kept is less than a header: payloads are read as they come.
        self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
        self._at = 0

    def read_whole(self, data: bytes, limit: int) -> bytes | None:
        """The payload, if what came next is a whole message in one frame and nothing else: uncompressed, and of at most
        `limit` bytes. Its kind is `opcode`. None, with nothing taken, for all else: that is for `feed`."""
        here = len(data)
        if self.left or self._at < len(self._buffer) or here < 2:
            return None
        first = data[0]
        length = data[1] ^ 0x80 if self._masked else data[1]  # beyond 127 where the mask is not as it must be
        size = 2
        if length == 126 and here > 4:
            length = data[2] << 8 | data[3]
            size = 4
            if length < 126:  # in more bytes than it needs
                return None
        elif length > 125:
            return None
        if first != _WHOLE_TEXT and first != _WHOLE_BINARY:
            return None
        if size + length + (4 if self._masked else 0) != here:
            return None
        if length > limit or length > self._max_frame:
            return None
        self.opcode = first & 0x0F
        return unmask(data, size) if self._masked else data[size:]

    def read_header(self) -> bool:
        """Reads the next frame's header, when its payload's last byte has been read; False until it is complete."""
        buffer = self._buffer
        at = self._at
        here = len(buffer) - at
        if not here:
            return False
        first = buffer[at]
        opcode = first & 0x0F
        if first & 0x70 and (first & 0x30 or not self._deflate or opcode not in (TEXT, BINARY)):
            refuse("reserved-bits", "a reserved bit is set that no extension has given a meaning here")
        if opcode > PONG or BINARY < opcode < CLOSE:
            refuse("opcode", f"{opcode} is no opcode")
        if opcode >= CLOSE and first < 0x80:
            refuse("control-fragmented", "a control frame is fragmented")
        if here < 2:
            return False
        second = buffer[at + 1]
        if second >= 0x80:
            if not self._masked:
                refuse("masked", "a server's frame is masked")
        elif self._masked:
            refuse("unmasked", "a client's frame is not masked")
        length = second & 0x7F
        size = 2
        if length > MAX_CONTROL:
            if opcode >= CLOSE:
                refuse("control-too-long", f"a control frame is longer than {MAX_CONTROL} bytes")
            size = 4 if length == 126 else 10
            if here < size:
                return False
            least = 126 if length == 126 else 0x10000
            length = int.from_bytes(buffer[at + 2 : at + size], "big")
            if length < least:
                refuse("length-not-minimal", f"a length of {length} takes {size - 2} bytes, more than it needs")
            if length >> 63:
                refuse("length", "the first bit of a length is set")
        if length > self._max_frame:
            refuse("frame-too-big", f"a frame is longer than {self._max_frame} bytes", TOO_BIG)
        if self._masked:
            if here < size + 4:
                return False
            self._key = buffer[at + size : at + size + 4]
            size += 4
        self._at = at + size
        self.opcode = opcode
        self.fin = first >= 0x80
        self.compressed = bool(first & 0x40)
        self.length = self.left = length
        return True

    def read_payload(self) -> bytes:
        """The bytes of the payload that are here, unmasked."""
        at = self._at
        if not self.left or at == len(self._buffer):
            return b""
        piece = self._buffer[at : at + self.left]
        size = len(piece)
        self._at = at + size
        self.left -= size
        if not self._masked:
            return piece
        key = self._key
        if self.left:
            turn = size & 3
            self._key = key[turn:] + key[:turn]
        return mask(piece, key)


# The heads of short messages in one frame without a mask, by their length.
_TEXTS = [bytes((_WHOLE_TEXT, size)) for size in range(126)]
_BINARIES = [bytes((_WHOLE_BINARY, size)) for size in range(126)]


def encode_frame(opcode: int, payload: bytes, key: bytes = b"", fin: bool = True, compressed: bool = False) -> bytes:
    """One frame; its payload is masked with the four bytes of `key`, if there are any."""
    first = opcode | (0x80 if fin else 0) | (0x40 if compressed else 0)
    size = len(payload)
    bit = 0x80 if key else 0
    if size < 126:
        if not key and first == _WHOLE_TEXT:
            return _TEXTS[size] + payload
        if not key and first == _WHOLE_BINARY:
            return _BINARIES[size] + payload
        head = bytes((first, bit | size))
    elif size < 0x10000:
        head = bytes((first, bit | 126, size >> 8, size & 0xFF))
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    return head + key + mask(payload, key) if key else head + payload


def mask(data: bytes, key: bytes) -> bytes:
    """`data` masked, or unmasked, with the four bytes of `key` (section 5.3)."""
    # As one number: the interpreter's fastest way to XOR bytes. Both ways are in linear time, being powers of two.
    size = len(data)
    if size > _PIECE:
        return b"".join([mask(data[at : at + _PIECE], key) for at in range(0, size, _PIECE)])
    long_key = (key * ((size + 3) >> 2))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(long_key, "little")).to_bytes(size, "little")


def unmask(data: bytes, at: int) -> bytes:
    """All that lies behind the key at `at`, unmasked with it: the payload of a frame that ends where `data` does."""
    return mask(data[at + 4 :], data[at : at + 4])


try:
    from firstbyte.wire.websocket import _mask  # type: ignore[attr-defined]
except ImportError:
    pass  # it is not compiled
else:
    mask, unmask = _mask.mask, _mask.unmask


def refuse(rule: str, message: str, code: int = BROKEN) -> NoReturn:
    """Raises the FrameError for a broken rule."""
    raise FrameError(code, rule, message)
