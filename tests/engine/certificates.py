"""Certificates made for tests, and handshakes in memory."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path
from typing import Any

import trustme
from cryptography.hazmat.primitives import serialization

from firstbyte.engine.tls_peer import decode_certificate

AUTHORITY = trustme.CA()


def pair(
    folder: Path, *names: str, authority: trustme.CA = AUTHORITY, stem: str = "", **options: Any
) -> tuple[Path, Path]:
    """A certificate's chain and its key as files, for these names."""
    leaf = authority.issue_cert(*names, **options)
    stem = stem or names[0].replace("*", "any")
    cert, key = folder / f"{stem}.pem", folder / f"{stem}.key"
    cert.write_bytes(b"".join(each.bytes() for each in leaf.cert_chain_pems))
    key.write_bytes(leaf.private_key_pem.bytes())
    return cert, key


def authority_file(folder: Path, authority: trustme.CA = AUTHORITY) -> Path:
    path = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def encrypt(key: Path, password: str, form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8) -> Path:
    secret = serialization.load_pem_private_key(key.read_bytes(), None)
    cipher = serialization.BestAvailableEncryption(password.encode())
    path = key.with_suffix(".encrypted")
    path.write_bytes(secret.private_bytes(serialization.Encoding.PEM, form, cipher))
    return path


def days(number: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=number)


def client_context(authority: trustme.CA = AUTHORITY) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


class Handshake:
    """A client and a server that talk through memory; raises what the end that fails first raises."""

    def __init__(
        self,
        server: ssl.SSLContext,
        client: ssl.SSLContext | None = None,
        name: str | None = "a.example",
        session: ssl.SSLSession | None = None,
    ) -> None:
        if client is None:
            client = client_context()
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(back, there, server_hostname=name, session=session)
        self.server = server.wrap_bio(there, back, server_side=True)
        waiting = {self.client, self.server}
        for end in (self.client, self.server) * 4:
            if end in waiting:
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                waiting.discard(end)
        assert not waiting

    def say(self, data: bytes = b"x") -> bytes:
        """What the client reads of what the server writes."""
        self.server.write(data)
        return self.client.read()

    @property
    def names(self) -> list[str]:
        """The names in the certificate that the client was shown."""
        shown: Any = self.client.getpeercert()
        return [name for _, name in decode_certificate(shown, ()).san]
