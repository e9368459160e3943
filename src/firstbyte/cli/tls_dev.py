"""TLS for development: an authority of this user's own, and a certificate of it for this machine (`--tls-dev`).

The authority is made on first use. Its name constraints (RFC 5280 section 4.2.1.10) keep it to this machine's names and
addresses, so whoever trusts it trusts it for nothing else, and its key is readable by its owner only.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import secrets
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from firstbyte.engine.tls import TLS
from firstbyte.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

AUTHORITY_DAYS = 3650
LEAF_DAYS = 90
RENEW_DAYS = 30  # a leaf with fewer days left is replaced
NAME = "firstbyte development authority"

# The names and addresses of every leaf. Many clients, browsers and OpenSSL among them, take no wildcard right under a
# top-level name; it is for the others.
ALWAYS = ("localhost", "*.localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Development:
    """A certificate that serves this machine, and the authority to trust for it.

    `created` says whether the authority is new, so that nobody can trust it yet.
    """

    tls: TLS
    authority: Path
    names: tuple[str, ...]
    created: bool


def development_certificate(folder: Path | None = None, *, now: datetime.datetime | None = None) -> Development:
    """The certificate for development, made or renewed if need be; `folder` is `data_folder()` if not given.

    Call it again to renew: what is good is left as it is, and a server that reloads its files takes what is new. Raises
    ConfigurationError if the folder cannot be written or the `cryptography` library is missing (the extra "tls").
    """
    _need_cryptography()
    folder = data_folder() if folder is None else folder
    now = datetime.datetime.now(datetime.UTC) if now is None else now
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        with _alone(folder):
            created = not _authority_is_good(folder, now)
            if created:
                _make_authority(folder, now)
            names = _names(folder)
            if not _leaf_is_good(folder, names, now):
                _make_leaf(folder, names, now)
    except OSError as error:
        raise ConfigurationError(f"cannot keep the development certificate in {folder}: {error.strerror}") from None
    return Development(TLS(folder / LEAF), folder / AUTHORITY, names, created)


def data_folder() -> Path:
    """Where the authority is kept: in the user's data folder (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_DATA_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share"  # it says to ignore others
    return root / "firstbyte" / "tls"


def how_to_trust(authority: Path, platform: str = sys.platform) -> str:
    """How to make browsers and tools trust the authority, and how to undo it: lines to print, for this platform."""
    path = f"'{authority}'" if re.search(r"[^\w./\\:-]", str(authority)) else str(authority)
    kind = platform if platform in _SYSTEM else "linux"
    lines = [f"Certificates for this machine are signed by {authority}.", "Trust it once, in any of these ways:", ""]
    for what, *commands in (*_SYSTEM[kind], *_ANYWHERE):
        lines.append(f"  {what}")
        lines.extend(f"    {command.format(path=path, name=NAME)}" for command in commands)
    lines += ["", "It can sign for this machine's names only. To be rid of it, undo that and delete"]
    lines += [f"{authority.parent}."]
    return "\n".join(lines)


AUTHORITY = "authority.pem"
AUTHORITY_KEY = "authority.key"
LEAF = "localhost.pem"  # with its key, so that both are replaced at once

_SYSTEM: dict[str, tuple[tuple[str, ...], ...]] = {
    "linux": (
        (
            "the system, on Debian and Ubuntu:",
            "sudo cp {path} /usr/local/share/ca-certificates/firstbyte.crt && sudo update-ca-certificates",
        ),
        ("the system, on Fedora and Arch:", "sudo trust anchor {path}"),
        (
            "Chrome and Chromium (certutil is in libnss3-tools or nss-tools):",
            'certutil -d sql:"$HOME/.pki/nssdb" -A -t C,, -n "{name}" -i {path}',
        ),
        (
            "Firefox, with the folder of its profile from about:profiles:",
            'certutil -d sql:PROFILE -A -t C,, -n "{name}" -i {path}',
        ),
    ),
    "darwin": (
        (
            "macOS, with Safari and Chrome:",
            "security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db {path}",
        ),
        ("Firefox:", "Settings, Privacy & Security, Certificates: let it use those of the system"),
    ),
    "win32": (("Windows, with Edge and Chrome:", "certutil -user -addstore Root {path}"),),
}
_ANYWHERE = (
    ("curl:", "curl --cacert {path} …"),
    ("Python and Node:", "SSL_CERT_FILE={path} python …", "NODE_EXTRA_CA_CERTS={path} node …"),
)
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


def _need_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise ConfigurationError("--tls-dev needs the cryptography library: pip install firstbyte[tls]") from None


def _host() -> str | None:
    """The machine's name, if it can be in a certificate."""
    name = socket.gethostname().lower().rstrip(".")
    return name if _HOST.fullmatch(name) and not _is_address(name) else None


def _names(folder: Path) -> tuple[str, ...]:
    """The leaf's names: those of every leaf, and the machine's if the authority may sign it.

    A machine's name changes with the network on some laptops; trust in an authority should not have to.
    """
    host = _host()
    if host is None or host in ALWAYS or host not in _permitted(_certificate(folder / AUTHORITY)):
        return ALWAYS
    return (*ALWAYS, host)


def _permitted(authority: x509.Certificate) -> set[str]:
    """The names that an authority may sign. Raises ExtensionNotFound if nothing holds it back."""
    from cryptography import x509

    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    return {name.value for name in constraints.permitted_subtrees or () if isinstance(name, x509.DNSName)}


def _make_authority(folder: Path, now: datetime.datetime) -> None:
    from cryptography import x509

    key = _new_key()
    host = _host()
    permitted: list[x509.GeneralName] = [x509.DNSName(name) for name in dict.fromkeys(("localhost", host)) if name]
    permitted += [x509.IPAddress(ip_network(network)) for network in ("127.0.0.0/8", "::1/128")]
    who = f"{NAME} {secrets.token_hex(4)}"  # two of one name would be mistaken for each other
    builder = _builder(who, who, key, now, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
    builder = builder.add_extension(x509.NameConstraints(permitted, None), critical=True)
    builder = _identified(builder, key, key)
    _write(folder / AUTHORITY_KEY, _key_pem(key), 0o600)
    _write(folder / AUTHORITY, _signed(builder, key), 0o644)


def _make_leaf(folder: Path, names: tuple[str, ...], now: datetime.datetime) -> None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    issuer, issuer_key = _certificate(folder / AUTHORITY), _key(folder / AUTHORITY_KEY)
    key = _new_key()
    builder = _builder("firstbyte development certificate", _common_name(issuer), key, now, LEAF_DAYS)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage("digital_signature"), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = _identified(builder, key, issuer_key)
    _write(folder / LEAF, _signed(builder, issuer_key) + _key_pem(key), 0o600)


def _authority_is_good(folder: Path, now: datetime.datetime) -> bool:
    """Whether there is an authority of ours whose key is there, and that outlives a leaf made now."""
    from cryptography import x509

    try:
        certificate, key = _certificate(folder / AUTHORITY), _key(folder / AUTHORITY_KEY)
        _permitted(certificate)
    except (FileNotFoundError, ValueError, x509.ExtensionNotFound):
        return False
    lasts = certificate.not_valid_after_utc > now + datetime.timedelta(days=LEAF_DAYS)
    return lasts and certificate.not_valid_before_utc <= now and certificate.public_key() == key.public_key()


def _leaf_is_good(folder: Path, names: tuple[str, ...], now: datetime.datetime) -> bool:
    """Whether there is a leaf of this authority for these names, with its key, that lasts a while."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        certificate, key = _certificate(folder / LEAF), _key(folder / LEAF)
        certificate.verify_directly_issued_by(_certificate(folder / AUTHORITY))
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (FileNotFoundError, ValueError, InvalidSignature, x509.ExtensionNotFound):
        return False
    lasts = certificate.not_valid_after_utc > now + datetime.timedelta(days=RENEW_DAYS)
    valid = lasts and certificate.not_valid_before_utc <= now
    return (
        valid and list(san) == [_general_name(name) for name in names] and certificate.public_key() == key.public_key()
    )


# X.509, in short


def _builder(
    subject: str, issuer: str, key: EllipticCurvePrivateKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(_distinguished(subject))
        .issuer_name(_distinguished(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # for clients whose clocks are a little behind
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _identified(
    builder: x509.CertificateBuilder, key: EllipticCurvePrivateKey, issuer_key: EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    """With the identifiers that tell keys apart where names do not (RFC 5280 sections 4.2.1.1 and 4.2.1.2)."""
    from cryptography import x509

    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return builder.add_extension(own, critical=False).add_extension(issuer, critical=False)


def _signed(builder: x509.CertificateBuilder, key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import hashes, serialization

    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _usage(*allowed: str) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(**{name: name in allowed for name in _USAGES})


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _distinguished(common_name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _common_name(certificate: x509.Certificate) -> str:
    return str(next(iter(certificate.subject)).value)


def _general_name(name: str) -> x509.GeneralName:
    from cryptography import x509

    return x509.IPAddress(ip_address(name)) if _is_address(name) else x509.DNSName(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _key_pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


# files


def _certificate(path: Path) -> x509.Certificate:
    from cryptography import x509

    return x509.load_pem_x509_certificate(path.read_bytes())


def _key(path: Path) -> EllipticCurvePrivateKey:
    """The key in a file. Raises ValueError if there is none of ours."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    data = path.read_bytes()
    start = data.find(b"-----BEGIN PRIVATE KEY-----")
    try:
        key = serialization.load_pem_private_key(data[max(start, 0) :], None)
    except (TypeError, UnsupportedAlgorithm) as error:  # encrypted, or made by something else
        raise ValueError(str(error)) from None
    if not isinstance(key, EllipticCurvePrivateKey):
        raise ValueError(f"{path} holds a key of another kind")
    return key


def _write(path: Path, data: bytes, mode: int) -> None:
    """Puts a file in its place at once: whoever opens it sees the old one or all of the new one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lets one process at a time make certificates in a folder, where the system has such locks."""
    lock = _flock()
    if lock is None:
        yield
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        lock(fd)
        yield
    finally:
        os.close(fd)  # which unlocks


def _flock() -> Callable[[int], None] | None:
    try:
        import fcntl
    except ImportError:
        return None
    return lambda fd: fcntl.flock(fd, fcntl.LOCK_EX)
