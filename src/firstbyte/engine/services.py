"""What requests ask of the connection that they have come by, beside their answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbyte.engine.states import CLOSED
from firstbyte.http.headers import Headers
from firstbyte.http.services import Job
from firstbyte.wire.writer import encode_interim

if TYPE_CHECKING:
    from firstbyte.engine.background import Background
    from firstbyte.engine.connection import Connection


class ConnectionServices:
    """What the requests of a connection may ask for; see `http.services.Services`."""

    __slots__ = ("_background", "_connection", "jobs")

    def __init__(self, background: Background, connection: Connection) -> None:
        self._background = background
        self._connection: Connection | None = connection
        self.jobs: list[Job] = []  # of the request whose answer is not sent yet

    def send_interim(self, status: int, fields: Headers) -> None:
        """See `Services`. For the thread, or the loop's, that has the connection."""
        data = encode_interim(status, fields)
        if self._connection is not None and self._connection.state != CLOSED:
            self._connection.send_now(data)

    def after(self, job: Job) -> None:
        """See `Services`."""
        self._background.take(job)
        if self._connection is None:  # all that can be sent is
            self._background.start(job)
        else:
            self.jobs.append(job)

    def start_jobs(self) -> None:
        """The answer is sent."""
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            self._background.start(job)

    def end(self) -> None:
        """The connection is closed."""
        self._connection = None
        self.start_jobs()
