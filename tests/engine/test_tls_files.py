"""Certificates, keys and options that cannot be used, and how that is said."""

from __future__ import annotations

import ssl

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from engine.certificates import Handshake, days, encrypt, pair
from firstbyte.engine import tls as tls_module
from firstbyte.engine.tls import TLS, Certificates
from firstbyte.errors import ConfigurationError


def test_dates_are_warned_of(tmp_path):
    expired = pair(tmp_path, "old.example", not_before=days(-9), not_after=days(-2))
    early = pair(tmp_path, "early.example", not_before=days(2), not_after=days(9))
    certificates = Certificates(TLS(*pair(tmp_path, "a.example"), extra=(expired, early)))
    first, second = certificates.warnings
    assert "old.example.pem is expired since 20" in first
    assert "early.example.pem is not valid before 20" in second


def missing(folder):
    return folder / "nowhere.pem", None


def a_folder(folder):
    return folder, None


def text(folder):
    path = folder / "text"
    path.write_text("héllo")
    return path, None


def binary(folder):
    cert, key = pair(folder, "a.example")
    cert.write_bytes(ssl.PEM_cert_to_DER_cert(cert.read_text()))
    return cert, key


def damaged(folder):
    cert, key = pair(folder, "a.example")
    cert.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    return cert, key


def damaged_key(folder):
    cert, key = pair(folder, "a.example")
    key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    return cert, key


def key_of_another(folder):
    return pair(folder, "a.example")[0], pair(folder, "b.example")[1]


def key_of_another_kind(folder):
    return pair(folder, "a.example")[0], pair(folder, "b.example", key_type=trustme.KeyType.RSA)[1]


def no_key(folder):
    return pair(folder, "a.example")[0], None


def swapped(folder):
    return pair(folder, "a.example")[::-1]


def encrypted(folder):
    cert, key = pair(folder, "a.example")
    return cert, encrypt(key, "secret")


def for_clients_only(folder):
    """A certificate of its own authority that says it is no server's (RFC 5280 section 4.2.1.12)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, days(-1), days(1))
    builder = builder.add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    cert, secret = folder / "client.pem", folder / "client.key"
    cert.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert, secret


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (for_clients_only, "the certificate in .*client.pem cannot be a server's: unsu.* certificate purpose"),
        (missing, "cannot read the certificate file .*nowhere.pem: No such file"),
        (a_folder, "cannot read the certificate file .*: Is a directory"),
        (text, "text holds no certificate in PEM, which begins with -----BEGIN$"),
        (binary, "a.example.pem holds no certificate in PEM.*looks like DER"),
        (damaged, "a certificate in .*a.example.pem: .*(damaged|asn1)"),
        (damaged_key, "the key in .*a.example.key is damaged"),
        (key_of_another, "the key in .*b.example.key does not belong to the first certificate in .*a.example.pem"),
        (key_of_another_kind, "the key in .*b.example.key does not belong to the first certificate in .*a.example.pem"),
        (no_key, "a.example.pem holds no private key but: CERTIFICATE"),
        (swapped, "a.example.key holds no certificate but: .*PRIVATE KEY"),
        (encrypted, "the key in .*a.example.encrypted is encrypted and no password is given"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, make, message):
    with pytest.raises(ConfigurationError, match=message):
        Certificates(TLS(*make(tmp_path)))
    good = tmp_path / "good"
    good.mkdir()
    with pytest.raises(ConfigurationError, match=message):
        Certificates(TLS(*pair(good, "good.example"), extra=(make(tmp_path),)))


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL], ids=["pkcs8", "old"]
)
def test_the_password_of_a_key(tmp_path, form):
    cert, key = pair(tmp_path, "a.example")
    secret = encrypt(key, "secret", form)
    assert Handshake(Certificates(TLS(cert, secret, key_password="secret")).context).names == ["a.example"]
    with pytest.raises(ConfigurationError, match=r"the password does not open the key in .*encrypted"):
        Certificates(TLS(cert, secret, key_password="wrong"))
    assert "secret" not in repr(TLS(cert, key, key_password="secret"))


def test_a_key_that_openssl_holds_too_weak(tmp_path, monkeypatch):
    monkeypatch.setattr(tls_module, "CIPHERS", tls_module.CIPHERS + ":@SECLEVEL=3")
    with pytest.raises(ConfigurationError, match=r"cannot use .*a\.example\.pem with .*: ee key too small"):
        Certificates(TLS(*pair(tmp_path, "a.example", key_type=trustme.KeyType.RSA)))


def test_an_authority_that_cannot_be_used(tmp_path):
    cert, key = pair(tmp_path, "a.example")
    with pytest.raises(ConfigurationError, match="key holds no certificate"):
        Certificates(TLS(cert, key, ca=key, client_certificates="required"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"client_certificates": "sometimes"}, "none, optional or required"),
        ({"client_certificates": "required"}, "no authority"),
        ({"ca": "x.pem"}, "x.pem would not be used"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ConfigurationError, match=message):
        TLS("a.pem", **options)
