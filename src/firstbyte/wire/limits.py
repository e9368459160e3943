"""How large a message may be."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def _limit(default: int, doc: str, least: int = 0) -> Any:
    """A field with its meaning, which the command line shows as help, and the least that lets anything through."""
    return field(default=default, metadata={"doc": doc, "least": least})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may make the server hold. Bytes, unless a name says otherwise; each with its precedent.

    Raises ValueError for a value below zero, and for one of zero that would let no request through.
    """

    request_line: int = _limit(8190, "Apache's LimitRequestLine; beyond it 414.", 1)
    head: int = _limit(
        32 * 1024,
        "Request line and header fields together; nginx's large_client_header_buffers, 4 of 8 KiB; beyond it 431.",
        1,
    )
    fields: int = _limit(
        100, "Number of header fields; Apache's LimitRequestFields; beyond it 431. Trailers have the same."
    )
    body: int = _limit(
        32 * 1024 * 1024,
        "A request body, chunked or not; IIS allows 30 MB, nginx 1 MiB; beyond it 413. An endpoint may say otherwise.",
    )
    body_memory: int = _limit(
        256 * 1024,
        "The part of a body that is held in memory; what is longer goes to a temporary file (Werkzeug: 500 KB).",
    )
    chunk_extensions: int = _limit(
        16 * 1024, "All chunk extensions of one body together; what Go's net/http allows; beyond it 400."
    )
    output: int = _limit(
        64 * 1024, "Response bytes that wait for a slow reader before a generator pauses; asyncio's high-water mark."
    )
    discard: int = _limit(
        64 * 1024,
        "A request body that nobody wants is thrown away up to this length, to keep the connection.",
    )
    connections: int = _limit(
        10_000, "Number of open connections; more wait in the kernel's accept queue (nginx: worker_connections).", 1
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            least = each.metadata["least"]
            if getattr(self, each.name) < least:
                raise ValueError(f"limit {each.name} is {getattr(self, each.name)}: it cannot be below {least}")
