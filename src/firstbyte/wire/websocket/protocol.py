"""One end of a WebSocket connection behind its handshake, without I/O (RFC 6455 sections 5 to 7).

for event in connection.receive_data(data): ...
transport.send(connection.take_replies())      # pongs, and the answer to a Close
transport.send(connection.send_text("hello"))
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable

from firstbyte.errors import FrameError, WebSocketClosed
from firstbyte.wire.websocket.deflate import Deflate
from firstbyte.wire.websocket.events import BinaryMessage, Closed, Event, Failed, Ping, Pong, TextMessage
from firstbyte.wire.websocket.frames import (
    ABNORMAL,
    BAD_DATA,
    BINARY,
    CLOSE,
    CONTINUATION,
    MAX_CONTROL,
    NO_CODE,
    NORMAL,
    PING,
    PONG,
    TEXT,
    TOO_BIG,
    FrameReader,
    encode_frame,
    refuse,
)
from firstbyte.wire.websocket.limits import MessageLimits

MAX_REASON = MAX_CONTROL - 2  # bytes of a reason in UTF-8

CODES = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015)))
"""The registered codes that a Close may have (section 7.4.1); those from 3000 to 4999 are libraries' and programs'."""

_DEFAULT = MessageLimits()


class Connection:
    """One end: the client's if `is_client`, else the server's. `deflate` is what the handshake has agreed on.

    `receive_data` gives what has come as events; what the protocol itself has to answer lies in `take_replies`, to be
    sent before anything else. The methods that send return the bytes to send, in the order of their calls, and raise
    WebSocketClosed once either side has closed. When `is_over`, what is to be sent is sent and then the
    connection ended: at once by a server; a client waits for the server to do it (section 7.1.1). With `defers_close`
    the answer to a Close, or to a fault, is not among the replies: messages can be sent until `close` gives it.
    `new_key` makes the four bytes that mask a client's frame, which nobody can foresee (section 10.3).
    """

    __slots__ = (
        "_answer", "_compressor", "_control", "_decoder", "_decompressor", "_defers_close", "_is_compressed", "_kind",
        "_max_message", "_message", "_new_key", "_reader", "_replies", "_sending", "_sends_compressed", "close_code",
        "close_reason", "close_sent", "is_client", "is_over",
    )  # fmt: skip

    def __init__(
        self,
        is_client: bool = False,
        limits: MessageLimits = _DEFAULT,
        deflate: Deflate | None = None,
        new_key: Callable[[], bytes] = lambda: os.urandom(4),
        defers_close: bool = False,
    ) -> None:
        self.is_client = is_client
        self._max_message = limits.message
        self._new_key = new_key
        self._defers_close = defers_close
        self._answer: bytes | None = None  # the payload of the Close that `close` is to answer with
        self._reader = FrameReader(not is_client, limits.frame, deflate is not None)
        self._compressor = None if deflate is None else deflate.compressor(is_client)
        self._decompressor = None if deflate is None else deflate.decompressor(is_client)
        self._kind = 0  # the opcode of the message that comes, 0 between messages
        self._is_compressed = False  # that message
        self._message = bytearray()  # what has come of it
        self._decoder = _new_decoder()  # checks a text that comes in pieces
        self._control = b""  # what has come of a control frame
        self._replies: list[bytes] = []
        self._sending = 0  # the opcode of the message that is being sent in fragments
        self._sends_compressed = False  # that message
        self.close_sent = False
        self.is_over = False  # the peer has closed, or failed: nothing that comes counts any more
        self.close_code = ABNORMAL  # how it ended, or is about to: the peer's word where it has closed
        self.close_reason = ""

    # -- receiving

    def receive_data(self, data: bytes) -> list[Event]:
        """What the bytes that came complete; a Closed or a Failed is the last event that there is."""
        events: list[Event] = []
        if not self.is_over:
            self._reader.feed(data)
            try:
                self._read_frames(events)
            except FrameError as error:
                self._fail(error, events)
        return events

    def receive_message(self, data: bytes) -> str | bytes | None:
        """The message that the bytes that came are, whole and alone, as most are. None for all else, with nothing
        taken: that is for `receive_data`."""
        if self._kind or self.is_over:
            return None
        payload = self._reader.read_whole(data, self._max_message)
        if payload is None or self._reader.opcode == BINARY:
            return payload
        try:
            return payload.decode()
        except UnicodeDecodeError:
            return None

    def receive_eof(self) -> list[Event]:
        """The peer has ended the connection: a Failed with code 1006 if neither its Close nor a fault came before."""
        self._answer = None
        if self.is_over:
            return []
        self.is_over = True
        return [Failed(ABNORMAL, "the connection was cut without a Close", "cut")]

    def take_replies(self) -> bytes:
        """What is to be sent in answer to what has come; empty if nothing is."""
        if not self._replies:
            return b""
        replies, self._replies = self._replies, []
        return b"".join(replies)

    def _read_frames(self, events: list[Event]) -> None:
        reader = self._reader
        while not self.is_over:
            if not reader.left:
                if not reader.read_header():
                    return
                if reader.opcode < CLOSE:
                    self._begin_frame()
            piece = reader.read_payload()
            if reader.opcode < CLOSE:
                if piece or not reader.length:
                    self._take_data(piece, events)
                if reader.left:
                    return
            else:
                self._control += piece
                if reader.left:
                    return
                self._take_control(events)

    def _begin_frame(self) -> None:
        """A data frame's header is here: holds it to what came before."""
        reader = self._reader
        if reader.opcode == CONTINUATION:
            if not self._kind:
                refuse("continuation", "a message begins with a continuation frame")
        else:
            if self._kind:
                refuse("interleaved", "a message begins before the one before has ended")
            self._kind = reader.opcode
            self._is_compressed = reader.compressed
        if not self._is_compressed and len(self._message) + reader.length > self._max_message:
            self._refuse_size()

    def _take_data(self, piece: bytes, events: list[Event]) -> None:
        """Adds a piece to the message that comes; a text is refused at the first byte that cannot be UTF-8."""
        reader = self._reader
        message = self._message
        is_last = reader.fin and not reader.left
        if self._is_compressed:
            assert self._decompressor is not None
            piece = self._decompressor.decompress(piece, is_last, self._max_message - len(message))
        try:
            if is_last and not message:  # whole in one piece, as most are
                if self._kind == TEXT:
                    events.append(_new_tuple(TextMessage, (str(piece, "utf-8"),)))
                else:
                    events.append(_new_tuple(BinaryMessage, (piece,)))
                self._kind = 0
                return
            if self._kind == TEXT:
                self._decoder.decode(piece, is_last)
                rest = self._decoder.getstate()[0]
                if rest[:1] == b"\xed" and rest[1:] >= b"\xa0":  # CPython waits for a third byte (bpo-24214)
                    refuse("utf-8", "a text is not UTF-8: it has a surrogate", BAD_DATA)
            message += piece
            if not is_last:
                return
            events.append(TextMessage(str(message, "utf-8")) if self._kind == TEXT else BinaryMessage(bytes(message)))
        except UnicodeDecodeError as error:
            refuse("utf-8", f"a text is not UTF-8: {error.reason}", BAD_DATA)
        self._message = bytearray()
        self._kind = 0

    def _take_control(self, events: list[Event]) -> None:
        opcode = self._reader.opcode
        payload, self._control = self._control, b""
        if opcode == PING:
            events.append(Ping(payload))
            if not self.close_sent:
                self._replies.append(self._frame(PONG, payload))
        elif opcode == PONG:
            events.append(Pong(payload))
        else:
            code, reason = _read_close(payload)
            self._end(code, reason, payload[:2])
            events.append(Closed(code, reason))

    def _end(self, code: int, reason: str, answer: bytes) -> None:
        """The peer's last word, or ours about it; `answer` is the payload of our Close."""
        self.is_over = True
        self.close_code, self.close_reason = code, reason
        if not self.close_sent:
            self._answer = answer
            if not self._defers_close:
                self._replies.append(self.close())

    def _fail(self, error: FrameError, events: list[Event]) -> None:
        reason = str(error).encode()[:MAX_REASON].decode("utf-8", "ignore")
        self._end(error.status, reason, error.status.to_bytes(2, "big") + reason.encode())
        events.append(Failed(error.status, reason, error.rule))

    def _refuse_size(self) -> None:
        refuse("message-too-big", f"a message is longer than {self._max_message} bytes", TOO_BIG)

    # -- sending

    def send_text(self, text: str) -> bytes:
        """A text message. Raises UnicodeEncodeError, which is a ValueError, for a lone surrogate."""
        return self._message_frame(TEXT, text.encode())

    def send_binary(self, data: bytes) -> bytes:
        """A binary message."""
        return self._message_frame(BINARY, data)

    def send_fragment(self, data: str | bytes, fin: bool) -> bytes:
        """The next fragment of a message, `fin` for its last; the first says by its type what the message is.

        Raises TypeError for a fragment of the other type, and so do whole messages before the last fragment.
        """
        self._check_open()
        kind = TEXT if isinstance(data, str) else BINARY
        if self._sending and kind != self._sending:
            raise TypeError("the fragments of a message are all str or all bytes")
        payload = data.encode() if isinstance(data, str) else data
        opcode = CONTINUATION if self._sending else kind
        if opcode:
            self._sends_compressed = self._compressor is not None
        if self._sends_compressed:
            assert self._compressor is not None
            payload = self._compressor.compress(payload, fin)
        self._sending = 0 if fin else kind
        return self._frame(opcode, payload, fin, self._sends_compressed and opcode != CONTINUATION)

    def ping(self, data: bytes = b"") -> bytes:
        """A ping, which the peer answers with the same data. Raises ValueError for more than 125 bytes."""
        self._check_open()
        return self._frame(PING, _check_control(data))

    def pong(self, data: bytes = b"") -> bytes:
        """A pong that nobody asked for (section 5.5.3). Raises ValueError for more than 125 bytes."""
        self._check_open()
        return self._frame(PONG, _check_control(data))

    def close(self, code: int = NORMAL, reason: str = "") -> bytes:
        """Begins to close; empty if this end has closed already. What the peer has still to say comes until its Close.

        Where that or a fault has come, this answers it, with its code. Raises ValueError for a code that may not be
        sent, and for a reason of more than 123 bytes in UTF-8.
        """
        payload = _check_close(code, reason, self.is_client)
        if self.close_sent or (self.is_over and self._answer is None):
            return b""
        self.close_sent = True
        if self._answer is not None:
            payload, self._answer = self._answer, None
            return self._frame(CLOSE, payload)
        self.close_code, self.close_reason = code, reason
        return self._frame(CLOSE, payload)

    def _message_frame(self, opcode: int, payload: bytes) -> bytes:
        self._check_open()
        if self._sending:
            raise TypeError("a message is sent before the last fragment of the one before")
        compressor = self._compressor
        if compressor is None or len(payload) < compressor.threshold:
            return self._frame(opcode, payload)
        return self._frame(opcode, compressor.compress(payload, True), True, True)

    def _frame(self, opcode: int, payload: bytes, fin: bool = True, compressed: bool = False) -> bytes:
        return encode_frame(opcode, payload, self._new_key() if self.is_client else b"", fin, compressed)

    def _check_open(self) -> None:
        if self.close_sent or (self.is_over and self._answer is None):
            raise WebSocketClosed(self.close_code, self.close_reason)


def _read_close(payload: bytes) -> tuple[int, str]:
    """Code and reason of a Close (section 5.5.1)."""
    if not payload:
        return NO_CODE, ""
    if len(payload) == 1:
        refuse("close-payload", "a Close has half a code")
    code = int.from_bytes(payload[:2], "big")
    if code not in CODES and not 3000 <= code <= 4999:
        refuse("close-code", f"{code} is no code that a Close may have")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError as error:
        refuse("close-reason", f"the reason of a Close is not UTF-8: {error.reason}", BAD_DATA)


def _check_close(code: int, reason: str, is_client: bool) -> bytes:
    if code not in CODES and not 3000 <= code <= 4999:
        raise ValueError(f"{code} is no code to close with: 1000, 1001, 3000 to 4999, ... (RFC 6455 section 7.4)")
    if code == 1010 and not is_client:
        raise ValueError("1010 says that the server lacks an extension: it is the client's to send")
    encoded = reason.encode()
    if len(encoded) > MAX_REASON:
        raise ValueError(f"a reason has at most {MAX_REASON} bytes in UTF-8, not {len(encoded)}")
    return code.to_bytes(2, "big") + encoded


def _check_control(data: bytes) -> bytes:
    if len(data) > MAX_CONTROL:
        raise ValueError(f"a ping or pong has at most {MAX_CONTROL} bytes, not {len(data)}")
    return data


_new_decoder = codecs.getincrementaldecoder("utf-8")
_new_tuple = tuple.__new__  # which is what the class of a NamedTuple does, after a call of Python
