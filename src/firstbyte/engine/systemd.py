"""What systemd gives a service, and wants to hear of it: sockets (sd_listen_fds(3)) and its state (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from time import monotonic_ns

from firstbyte._lazy import lazy_logger
from firstbyte.errors import ConfigurationError

logger = lazy_logger("firstbyte.engine")

FIRST_DESCRIPTOR = 3


def activated_sockets() -> list[socket.socket]:
    """The listening sockets that systemd has passed to this process; none if it was not started so.

    They are given once, and not to processes that this one starts. Raises ConfigurationError for one that cannot be
    served.
    """
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    sockets = []
    for fd in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count)):
        try:
            os.set_inheritable(fd, False)
            sock = socket.socket(fileno=fd)
            sockets.append(sock)
            listens = sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError:
            listens = False
        if not listens:
            for each in sockets:
                each.close()
            raise ConfigurationError(f"descriptor {fd} of LISTEN_FDS is no listening stream socket: see ListenStream=")
        sock.setblocking(False)
    return sockets


class Notifier:
    """Tells systemd, where it listens (Type=notify or notify-reload), in which state the service is."""

    def __init__(self) -> None:
        self._place = os.environ.pop("NOTIFY_SOCKET", "")  # not for processes that this one starts

    def ready(self, status: str) -> None:
        """It serves; also after a reload, successful or not."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """A reload has begun."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={monotonic_ns() // 1000}\nSTATUS=reloading")

    def stopping(self) -> None:
        """It finishes what runs."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def _send(self, message: str) -> None:
        if not self._place:
            return
        # A name that begins with @ is one of the abstract namespace, which is written with a zero byte.
        place = "\0" + self._place[1:] if self._place.startswith("@") else self._place
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(message.encode(), place)
        except OSError as error:
            logger.warning("systemd cannot be told: %s (NOTIFY_SOCKET is %s)", error.strerror, self._place)
