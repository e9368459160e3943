"""The server's TLS: certificates in, one `ssl.SSLContext` out, renewed when their files change.

`Certificates` needs nothing of sockets: a connection wraps a pair of `ssl.MemoryBIO` with its `context`.

The settings are the intermediate profile of Mozilla's guidelines (wiki.mozilla.org/Security/Server_Side_TLS): TLS 1.2
and 1.3, forward secrecy and authenticated encryption only, the client's order of ciphers. The profile's DHE ciphers are
left out: of the clients it is made for only Internet Explorer 11 on Windows 7 needs them, with an RSA certificate, and
they let a client make the server work for nothing (CVE-2002-20001).
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, TypeAlias

from firstbyte.engine._groups import set_groups
from firstbyte.engine.tls_peer import CIPHER_SUITES, decode_certificate
from firstbyte.errors import ConfigurationError
from firstbyte.http.certificate import Certificate

CIPHERS = ":".join(name for name in CIPHER_SUITES if not name.startswith("TLS_"))  # those of TLS 1.3 need no naming
# The hybrid with ML-KEM keeps today's traffic secret from tomorrow's quantum computers; OpenSSL 3.5 brought it.
GROUPS = ("X25519MLKEM768:" if ssl.OPENSSL_VERSION_INFO >= (3, 5) else "") + "X25519:P-256:P-384"
TICKET_KEYS_FOR = (
    24 * 3600.0
)  # seconds: who steals a ticket key can read the TLS 1.2 sessions it protects, so it must go

StrPath: TypeAlias = str | os.PathLike[str]
Fingerprint: TypeAlias = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class TLS:
    """What a server needs to speak TLS. Files are PEM; a certificate's file holds its chain too, itself first.

    A `key` of None is in the certificate's file. `key_password` opens every key that is encrypted. `extra` holds more
    (certificate, key) pairs: a client that asks for a name that one of them has gets that one, any other gets `cert`.
    `ca` holds the authorities that `client_certificates`, if not "none", must come from: "optional" lets in clients
    that have none, "required" does not. `alpn` are the protocols offered, the preferred one first (RFC 7301). Raises
    ConfigurationError where these do not fit together; the files are read by `Certificates`.
    """

    cert: StrPath
    key: StrPath | None = None
    key_password: str | None = field(default=None, repr=False)
    ca: StrPath | None = None
    extra: tuple[tuple[StrPath, StrPath | None], ...] = ()
    alpn: tuple[str, ...] = ("http/1.1",)
    client_certificates: Literal["none", "optional", "required"] = "none"

    def __post_init__(self) -> None:
        if self.client_certificates not in _VERIFY:
            raise ConfigurationError(
                f"client certificates are none, optional or required, not {self.client_certificates!r}"
            )
        if self.ca is None and self.client_certificates != "none":
            raise ConfigurationError(
                f"client certificates are {self.client_certificates}, but no authority is named that they come from"
            )
        if self.ca is not None and self.client_certificates == "none":
            raise ConfigurationError(f"{self.ca} would not be used: make client certificates optional or required")

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file this is made of, each once."""
        named = (self.cert, self.key, self.ca, *(name for pair in self.extra for name in pair))
        return tuple(dict.fromkeys(Path(name) for name in named if name is not None))


class Context(ssl.SSLContext):
    """The settings for one certificate, and that certificate; the `context` of a connection after its handshake."""

    certificate: Certificate


class Certificates:
    """The certificates of a server, ready for handshakes. Raises ConfigurationError if a file cannot be used.

    `context` is for the next handshake: do not keep it, since `reload` replaces it; connections that have theirs go on.
    `warnings` says what will not stop the server but its clients: a certificate that is expired, or not valid yet.
    """

    def __init__(self, tls: TLS, *, clock: Callable[[], float] = time.time) -> None:
        self.tls = tls
        self._clock = clock
        self._loaded = self._load()

    @property
    def context(self) -> Context:
        """The context for a new handshake, which takes the certificate that has the client's SNI, or the first."""
        return self._loaded.default

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """The certificates in use, the default first."""
        return tuple(context.certificate for context in self._loaded.contexts)

    @property
    def warnings(self) -> list[str]:
        """A sentence for each certificate in use that clients will not accept because of its dates."""
        now = self._clock()
        found = []
        for certificate, (path, _) in zip(self.certificates, self._pairs(), strict=True):
            if now > certificate.not_after.timestamp():
                found.append(f"the certificate in {path} is expired since {certificate.not_after:%Y-%m-%d %H:%M} UTC")
            elif now < certificate.not_before.timestamp():
                found.append(
                    f"the certificate in {path} is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC"
                )
        return found

    def context_for(self, address: str) -> Context:
        """`context`, for a client of this IP address of ours, which may know no name to send (RFC 6066 section 3)."""
        return self._loaded.named.get(_ip(address) or "", self._loaded.default)

    def changed(self) -> bool:
        """Whether `reload` is due: a file is another than the one last tried, or the ticket keys are old.

        Costs one stat for each file. A set of files that could not be loaded is not tried again until one changes.
        """
        return self._loaded.expires <= time.monotonic() or _fingerprint(self.tls) != self._loaded.fingerprint

    def reload(self) -> None:
        """Reads all files again; handshakes that begin from now on use them.

        Raises ConfigurationError if they cannot be used, and goes on with those from before.
        """
        tried = _fingerprint(self.tls)
        try:
            self._loaded = self._load()
        except ConfigurationError:
            self._loaded.fingerprint = tried
            self._loaded.expires = time.monotonic() + TICKET_KEYS_FOR
            raise

    def _pairs(self) -> tuple[tuple[StrPath, StrPath | None], ...]:
        return ((self.tls.cert, self.tls.key), *self.tls.extra)

    def _load(self) -> _Loaded:
        fingerprint = _fingerprint(self.tls)  # before the files are read: a change meanwhile is seen at the next look
        loaded = _Loaded([_context(self.tls, cert, key) for cert, key in self._pairs()], fingerprint)
        for context in loaded.contexts:
            context.sni_callback = loaded.choose
        return loaded


class _Loaded:
    """One reading of all files."""

    def __init__(self, contexts: list[Context], fingerprint: Fingerprint) -> None:
        self.contexts = contexts
        self.default = contexts[0]
        self.fingerprint = fingerprint
        self.expires = time.monotonic() + TICKET_KEYS_FOR
        # By "example.org", "*.example.org" or an IP address; the first to have it wins.
        self.named: dict[str, Context] = {}
        for context in contexts:
            for kind, name in context.certificate.san:
                if kind in ("DNS", "IP Address"):
                    self.named.setdefault(name.lower(), context)

    def choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """The callback of SNI: never fails, since a client with a wrong name deserves a certificate to refuse."""
        if name:
            # Names are A-labels on both sides (RFC 6066 section 3), a wildcard is one label (RFC 9525 section 6.3).
            name = name.lower().rstrip(".")
            wildcard = "*." + name.partition(".")[2]
            chosen = self.named.get(name) or self.named.get(wildcard) or self.named.get(_ip(name) or "")
            if chosen is not None and chosen is not context:
                connection.context = chosen


def looks_like_http(first_bytes: bytes) -> bool:
    """Whether a client's first bytes, some or all of them, are a request without TLS (RFC 9112 section 3).

    True for "G" as well as for "GET / HTTP/1.1": what begins a TLS handshake is no letter. Empty lines may come first.
    """
    return _REQUEST_LINE.fullmatch(first_bytes) is not None


_REQUEST_LINE = re.compile(rb"(?:\r?\n)*[A-Za-z][A-Za-z_-]{0,31}(?: .*)?", re.DOTALL)
_VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_CERTIFICATE = re.compile("CERTIFICATE")
_PRIVATE_KEY = re.compile("(?:[A-Z0-9]+ )?PRIVATE KEY")
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----[\x00-\x7f]*?-----END \1-----")
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which the ssl module does not name


def _context(tls: TLS, cert: StrPath, key: StrPath | None) -> Context:
    """A context with one certificate. Raises ConfigurationError."""
    context = Context(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    set_groups(context, GROUPS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(list(tls.alpn))
    leaf = _load_pair(context, cert, key, tls.key_password)
    context.certificate = _shown(context, leaf, cert)
    if tls.ca is not None:
        _authorities(context, tls.ca)
        context.verify_mode = _VERIFY[tls.client_certificates]
    return context


def _load_pair(context: Context, cert: StrPath, key: StrPath | None, password: str | None) -> str:
    """Puts certificate and key into `context`; the PEM of the certificate. Raises ConfigurationError."""
    where = cert if key is None else key
    leaf = _pem(cert, _CERTIFICATE, "certificate")[0]
    secret = _pem(where, _PRIVATE_KEY, "private key")[0]
    encrypted = "ENCRYPTED" in secret  # in its first line (PKCS #8), or in a header after it
    if encrypted and not password:
        raise ConfigurationError(f"the key in {where} is encrypted and no password is given for it")
    try:
        # Without a password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(cert, key, password=password or "")
    except OSError as error:  # ssl.SSLError is one
        reason = getattr(error, "reason", None)
        if reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
            raise ConfigurationError(f"the key in {where} does not belong to the first certificate in {cert}") from None
        if reason is not None:
            raise ConfigurationError(f"cannot use {cert} with {where}: {_plain(reason)}") from None
        _authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), cert)  # says so if it is the certificate that is damaged
        if encrypted:
            raise ConfigurationError(f"the password does not open the key in {where}") from None
        raise ConfigurationError(f"the key in {where} is damaged, or of a kind that is not supported") from None
    return leaf


def _authorities(context: ssl.SSLContext, path: StrPath) -> None:
    """Makes `context` trust the certificates of a file. Raises ConfigurationError if they are damaged."""
    blocks = _pem(path, _CERTIFICATE, "certificate")
    try:
        context.load_verify_locations(cadata="\n".join(blocks))
    except ssl.SSLError as error:
        what = _plain(error.reason) if error.reason else "it is damaged"
        raise ConfigurationError(f"cannot use a certificate in {path}: {what}") from None


def _pem(path: StrPath, label: re.Pattern[str], what: str) -> list[str]:
    """The PEM blocks of a file that have this label (RFC 7468), at least one. Raises ConfigurationError."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read the {what} file {path}: {error.strerror or error}") from None
    text = data.decode("latin-1")
    found = [match[0] for match in _BLOCK.finditer(text) if label.fullmatch(match[1])]
    if found:
        return found
    labels = ", ".join(dict.fromkeys(match[1] for match in _BLOCK.finditer(text)))
    if labels:
        raise ConfigurationError(f"{path} holds no {what} but: {labels}")
    hint = "; it looks like DER: convert it with openssl" if data[:1] == b"\x30" else ""
    raise ConfigurationError(f"{path} holds no {what} in PEM, which begins with -----BEGIN{hint}")


def _shown(context: ssl.SSLContext, leaf: str, path: StrPath) -> Certificate:
    """The certificate as a client of `context` sees it: by a handshake in memory, as Python decodes only a peer's."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(cadata=leaf)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(back, there), context.wrap_bio(there, back, server_side=True)]
    try:
        for end in (*ends, *ends):
            _step(end)
    except ssl.SSLError as error:
        message = getattr(error, "verify_message", "") or _plain(error.reason or str(error))
        raise ConfigurationError(f"the certificate in {path} cannot be a server's: {message}") from None
    shown: Any = ends[0].getpeercert()
    return decode_certificate(shown, (ssl.PEM_cert_to_DER_cert(leaf),))


def _step(end: ssl.SSLObject) -> None:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        pass  # the other end's turn


def _fingerprint(tls: TLS) -> Fingerprint:
    """What tells a changed file from the same one; None for one that is not there."""
    found: list[tuple[int, int, int] | None] = []
    for path in tls.files:
        try:
            stat = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)


def _ip(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def _plain(reason: str) -> str:
    return reason.lower().replace("_", " ")
