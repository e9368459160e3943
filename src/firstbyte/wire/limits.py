"""How large a message may be."""

from __future__ import annotations

from firstbyte.http.settings import Settings, setting


class Limits(Settings):
    """What one client may make the server hold. Bytes, unless a name says otherwise; each with its precedent.

    Raises ValueError for a value below zero, and for one of zero that would let no request through.
    """

    request_line: int = setting(8190, "Apache's LimitRequestLine; beyond it 414.", 1)
    head: int = setting(
        32 * 1024,
        "Request line and header fields together; nginx's large_client_header_buffers, 4 of 8 KiB; beyond it 431.",
        1,
    )
    fields: int = setting(
        100, "Number of header fields; Apache's LimitRequestFields; beyond it 431. Trailers have the same."
    )
    body: int = setting(
        32 * 1024 * 1024,
        "A request body, chunked or not; IIS allows 30 MB, nginx 1 MiB; beyond it 413. An endpoint may say otherwise.",
    )
    body_rate: int = setting(
        500,
        "Bytes a second, on average, that a body comes with once the timeout body_grace is over; Apache's "
        "RequestReadTimeout MinRate; beneath it 408. 0 for as slow as a client likes.",
    )
    body_memory: int = setting(
        1024 * 1024,
        "The part of a body that is held in memory; what is longer goes to a temporary file (Starlette: 1 MiB).",
    )
    chunk_extensions: int = setting(
        16 * 1024, "All chunk extensions of one body together; what Go's net/http allows; beyond it 400."
    )
    output: int = setting(
        64 * 1024, "Response bytes that wait for a slow reader before a generator pauses; asyncio's high-water mark."
    )
    discard: int = setting(
        64 * 1024,
        "A request body that nobody wants is thrown away up to this length, to keep the connection.",
    )
    connections: int = setting(
        10_000, "Number of open connections; more wait in the kernel's accept queue (nginx: worker_connections).", 1
    )

    def check(self, name: str, value: float, least: float) -> None:
        """See `Settings.check`."""
        if value < least:
            raise ValueError(f"limit {name} is {value}: it cannot be below {least}")
