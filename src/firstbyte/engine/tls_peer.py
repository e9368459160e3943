"""What a TLS connection says of itself and of its peer, for the request and for ASGI."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

from firstbyte.http.certificate import Certificate

# Of Mozilla's intermediate profile: OpenSSL's names, and the numbers of the TLS registry.
CIPHER_SUITES = {
    "TLS_AES_128_GCM_SHA256": 0x1301,
    "TLS_AES_256_GCM_SHA384": 0x1302,
    "TLS_CHACHA20_POLY1305_SHA256": 0x1303,
    "ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B,
    "ECDHE-RSA-AES128-GCM-SHA256": 0xC02F,
    "ECDHE-ECDSA-AES256-GCM-SHA384": 0xC02C,
    "ECDHE-RSA-AES256-GCM-SHA384": 0xC030,
    "ECDHE-ECDSA-CHACHA20-POLY1305": 0xCCA9,
    "ECDHE-RSA-CHACHA20-POLY1305": 0xCCA8,
}

# RFC 4514 section 3, and the short names that are usual beyond it; what is not here keeps OpenSSL's name.
_SHORT = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
_SPECIAL = re.compile(r'[\\"+,;<>]|^[ #]| $')
_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


def peer_certificate(ssl_object: ssl.SSLObject) -> Certificate | None:
    """The certificate of the client at the other end, verified; None if it showed none or was not asked for one."""
    shown: Any = ssl_object.getpeercert()
    der = ssl_object.getpeercert(binary_form=True)
    if not shown or der is None:
        return None
    return decode_certificate(shown, (der, *_rest_of_chain(ssl_object)))


def tls_extension(ssl_object: ssl.SSLObject) -> dict[str, Any]:
    """The value of extensions["tls"] in an ASGI scope (the ASGI TLS extension, version 0.2)."""
    peer = peer_certificate(ssl_object)
    ours: Certificate | None = getattr(ssl_object.context, "certificate", None)
    cipher = ssl_object.cipher()
    return {
        "server_cert": ours.pem if ours is not None else None,
        "client_cert_chain": list(peer.pem_chain) if peer is not None else [],
        "client_cert_name": peer.subject if peer is not None else None,
        "client_cert_error": None,  # a client whose certificate is not good ends in the handshake
        "tls_version": _VERSIONS.get(ssl_object.version() or ""),
        "cipher_suite": CIPHER_SUITES.get(cipher[0]) if cipher else None,
    }


def decode_certificate(shown: Mapping[str, Any], chain: tuple[bytes, ...]) -> Certificate:
    """What `getpeercert` gave, and the chain in DER, as a Certificate."""
    return Certificate(
        subject=_name(shown.get("subject", ())),
        issuer=_name(shown.get("issuer", ())),
        serial=int(shown["serialNumber"], 16),
        not_before=_date(shown["notBefore"]),
        not_after=_date(shown["notAfter"]),
        san=tuple(_alternative(*each) for each in shown.get("subjectAltName", ())),
        chain=chain,
    )


def _rest_of_chain(ssl_object: ssl.SSLObject) -> tuple[bytes, ...]:
    """What the client sent after its own certificate, in DER."""
    if hasattr(ssl_object, "get_unverified_chain"):  # Python 3.13
        return tuple(ssl_object.get_unverified_chain()[1:])
    inner: Any = getattr(ssl_object, "_sslobj", None)  # the same, before it was public
    if not hasattr(inner, "get_unverified_chain"):
        return ()
    return tuple(ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in (inner.get_unverified_chain() or ())[1:])


def _name(parts: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """A distinguished name in the text form of RFC 4514: the parts in reverse, what is special escaped."""
    return ",".join(
        "+".join(f"{_SHORT.get(kind, kind)}={_escape(value)}" for kind, value in part) for part in reversed(parts)
    )


def _escape(value: str) -> str:
    return _SPECIAL.sub(lambda match: "\\" + match[0], value).replace("\0", "\\00")


def _alternative(kind: str, value: Any) -> tuple[str, str]:
    if kind == "IP Address":  # "0:0:0:0:0:0:0:1", and an older OpenSSL ends it with a newline
        return kind, str(ip_address(value.strip()))
    return kind, value if isinstance(value, str) else _name(value)  # a DirName is a whole name


def _date(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
