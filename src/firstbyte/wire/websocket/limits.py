"""How large a WebSocket message may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """What one peer may make us hold, in bytes. Raises ValueError for a limit below zero.

    `message` counts across the fragments of a message and behind its decompression (1 MiB, as `websockets` has it);
    `frame` counts as the bytes come, so it bounds compressed ones as well. Beyond either the close code is 1009.
    """

    message: int = 1 << 20
    frame: int = 1 << 20

    def __post_init__(self) -> None:
        if self.message < 0 or self.frame < 0:
            raise ValueError(f"{self}: a limit cannot be below zero")
