"""A peer's X.509 certificate, as a request shows it (RFC 5280)."""

from __future__ import annotations

import base64
import textwrap
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says of who holds it; the TLS library has verified it before anyone sees it here.

    `subject` and `issuer` are distinguished names in the text form of RFC 4514, the most specific part first.
    `not_before` and `not_after` are in UTC. `san` holds the subject's alternative names as (kind, name):
    ("DNS", "example.org"), ("IP Address", "127.0.0.1"), ("email", …), ("URI", …). `chain` holds the certificates that
    were sent, in DER, this one first; a session that was resumed brings this one only.
    """

    subject: str
    issuer: str
    serial: int
    not_before: datetime
    not_after: datetime
    san: tuple[tuple[str, str], ...]
    chain: tuple[bytes, ...] = field(repr=False)

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.chain[0]

    @property
    def pem(self) -> str:
        """The certificate in PEM."""
        return to_pem(self.chain[0])

    @property
    def pem_chain(self) -> tuple[str, ...]:
        """The chain in PEM, one text for each certificate."""
        return tuple(map(to_pem, self.chain))


def to_pem(der: bytes) -> str:
    """A certificate in DER as PEM (RFC 7468 section 5)."""
    lines = textwrap.wrap(base64.b64encode(der).decode("ascii"), 64)
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])
