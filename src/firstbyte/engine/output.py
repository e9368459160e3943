"""What is to be sent to one peer: buffers in their order, then a span of a file."""

from __future__ import annotations

import os
import socket
from typing import NoReturn

from firstbyte.engine._sys import transmit, transmit_more
from firstbyte.http.response import FileBody

JOIN = 16 * 1024  # bytes up to which buffers are copied into one for a single send; beyond it sendmsg gathers them
BATCH = 64  # buffers given to one sendmsg, and answers to pipelined requests that go out together
SENDFILE = 2 * 1024 * 1024  # bytes of a file sent before other connections have their turn; nginx's sendfile_max_chunk
_PIECE = 64 * 1024  # bytes of a file read at a time where the kernel cannot send it by itself


class Output:
    """Sends without waiting, as far as the peer takes it. Its methods raise OSError when the peer is gone."""

    __slots__ = ("_encrypted", "_fd", "buffers", "file", "sock")

    def __init__(self, sock: socket.socket, encrypted: bool = False) -> None:
        self.sock = sock
        self._fd = sock.fileno()
        self._encrypted = encrypted
        self.buffers: list[bytes | memoryview] = [b""]
        self.buffers.pop()  # most often there is one: a list with room for it then neither asks for memory nor gives it
        self.file: FileBody | None = None  # sent when the buffers are empty; closed by whoever gave it

    @property
    def waiting(self) -> int:
        """Bytes in the buffers."""
        return self._size()

    @property
    def left(self) -> int:
        """Bytes in the buffers and in the file."""
        return self.waiting + (self.file.count if self.file is not None else 0)

    def _size(self) -> int:
        size = 0
        for each in self.buffers:  # and not `sum(map(...))`, which compiled is twice the work
            size += len(each)
        return size

    def flush(self) -> bool:
        """Sends the buffers; False if the peer must read before the rest can go."""
        out = self.buffers
        while out:
            try:
                if len(out) == 1:
                    data = out[0]
                    if self._encrypted:
                        sent = self.sock.send(data)
                    elif self.file is not None and self.file.count:
                        sent = transmit_more(self.sock, data)  # so that the file begins in the head's packet
                    else:
                        sent = transmit(self._fd, data)
                    if sent == len(data):
                        out.pop()
                        return True
                elif self._size() <= JOIN:
                    out[:] = [b"".join(out)]
                    continue
                else:
                    sent = self.sock.sendmsg(out[:BATCH])
            except BlockingIOError:
                return False
            while out and sent >= len(out[0]):
                sent -= len(out[0])
                del out[0]
            if sent:
                out[0] = memoryview(out[0])[sent:]
        return True

    def send_file(self) -> bool:
        """Sends some of the file; False if more of it is to be sent. Raises EOFError if it has become shorter."""
        file = self.file
        assert file is not None
        if not file.count:
            return True
        if self._encrypted:  # then it cannot go from file to socket by itself
            for _ in range(0, min(file.count, SENDFILE), _PIECE):
                self.buffers.append(file.read(_PIECE) or _missing(file))
                if not self.flush():
                    return False
            return not file.count
        try:
            sent = os.sendfile(self._fd, file.file.fileno(), file.offset, min(file.count, SENDFILE))
        except BlockingIOError:
            return False
        if not sent:
            _missing(file)
        file.offset += sent
        file.count -= sent
        return not file.count


def _missing(file: FileBody) -> NoReturn:
    raise EOFError(f"{file.count} bytes are missing")
