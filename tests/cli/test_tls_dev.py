"""The development certificate: made, renewed, and trusted by clients that trust its authority."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import stat
import sys
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from engine.certificates import Handshake, days
from firstbyte.cli import tls_dev
from firstbyte.cli.tls_dev import data_folder, development_certificate, how_to_trust
from firstbyte.engine.tls import Certificates
from firstbyte.errors import ConfigurationError


@pytest.fixture(autouse=True)
def host(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "Workbench.lan")


def trusting(made):
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(made.authority)
    return client


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "workbench.lan"])
def test_a_client_that_trusts_the_authority_trusts_this_machine(tmp_path, name):
    made = development_certificate(tmp_path)
    assert made.created
    assert Handshake(Certificates(made.tls).context, trusting(made), name).names == list(made.names)


@pytest.mark.parametrize("name", ["example.org", "elsewhere.lan", "localhost.example.org", "10.0.0.1"])
def test_the_authority_cannot_speak_for_others(tmp_path, name):
    made = development_certificate(tmp_path)
    tls_dev._make_leaf(tmp_path, (name,), days(0))
    with pytest.raises(ssl.SSLError, match="permitted subtree violation"):
        Handshake(Certificates(made.tls).context, trusting(made), name)


def test_files_are_private_and_whole(tmp_path):
    folder = tmp_path / "data" / "tls"
    umask = os.umask(0)
    try:
        development_certificate(folder)
    finally:
        os.umask(umask)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"authority.pem": 0o644, "authority.key": 0o600, "localhost.pem": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_good_is_left_as_it_is(tmp_path):
    development_certificate(tmp_path)
    before = contents(tmp_path)
    assert not development_certificate(tmp_path, now=days(tls_dev.LEAF_DAYS - tls_dev.RENEW_DAYS - 1)).created
    assert contents(tmp_path) == before


@pytest.mark.parametrize("after", [61, 95, 3000])
def test_the_certificate_is_renewed_before_it_expires_and_the_authority_stays(tmp_path, after):
    certificates = Certificates(development_certificate(tmp_path).tls)
    old, authority = certificates.certificates[0], (tmp_path / "authority.pem").read_bytes()
    assert not development_certificate(tmp_path, now=days(after)).created
    assert certificates.changed()
    certificates.reload()
    assert certificates.certificates[0].not_after > old.not_after
    assert (tmp_path / "authority.pem").read_bytes() == authority


def test_an_authority_near_its_end_is_replaced(tmp_path):
    development_certificate(tmp_path)
    later = development_certificate(tmp_path, now=days(tls_dev.AUTHORITY_DAYS - 30))
    assert later.created
    leaf = x509.load_pem_x509_certificate((tmp_path / "localhost.pem").read_bytes())
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(later.authority.read_bytes()))
    assert leaf.not_valid_after_utc > days(tls_dev.AUTHORITY_DAYS)


@pytest.mark.parametrize(
    ("file", "damage", "created"),
    [
        ("authority.pem", None, True),
        ("authority.pem", b"junk", True),
        ("authority.key", None, True),
        ("authority.key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", True),
        ("localhost.pem", None, False),
        ("localhost.pem", b"junk", False),
    ],
)
def test_what_is_missing_or_damaged_is_made_again(tmp_path, file, damage, created):
    development_certificate(tmp_path)
    (tmp_path / file).unlink()
    if damage is not None:
        (tmp_path / file).write_bytes(damage)
    made = development_certificate(tmp_path)
    assert made.created is created
    Handshake(Certificates(made.tls).context, trusting(made), "localhost")


@pytest.mark.parametrize("kind", ["encrypted", "rsa"])
def test_a_key_that_is_not_ours_is_replaced(tmp_path, kind):
    development_certificate(tmp_path)
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    cipher = serialization.BestAvailableEncryption(b"x") if kind == "encrypted" else serialization.NoEncryption()
    (tmp_path / "authority.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher)
    )
    assert development_certificate(tmp_path).created


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    development_certificate(tmp_path)
    before = contents(tmp_path)

    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        development_certificate(tmp_path, now=days(80))
    assert contents(tmp_path) == before


def test_a_system_without_such_locks(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert development_certificate(tmp_path).created


def test_a_key_of_another_authority_makes_a_new_one(tmp_path):
    development_certificate(tmp_path / "a")
    development_certificate(tmp_path / "b")
    (tmp_path / "b" / "authority.key").replace(tmp_path / "a" / "authority.key")
    assert development_certificate(tmp_path / "a").created


def test_another_name_of_the_machine_needs_no_other_authority(tmp_path, monkeypatch):
    assert "workbench.lan" in development_certificate(tmp_path).names
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    moved = development_certificate(tmp_path)
    assert not moved.created
    assert moved.names == tls_dev.ALWAYS
    assert Handshake(Certificates(moved.tls).context, trusting(moved), "localhost").names == list(tls_dev.ALWAYS)


@pytest.mark.parametrize("name", ["", "localhost", "127.0.0.1", "under_score", "bücher", "a" * 64])
def test_a_machine_whose_name_cannot_be_signed(tmp_path, monkeypatch, name):
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    assert development_certificate(tmp_path).names == tls_dev.ALWAYS


def test_many_at_once_make_one_authority(tmp_path):
    made = []
    threads = [threading.Thread(target=lambda: made.append(development_certificate(tmp_path))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.created for each in made].count(True) == 1
    assert len(made) == 6


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot keep the development certificate in .*file"):
        development_certificate(tmp_path / "file")


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ConfigurationError, match=r"pip install firstbyte\[tls\]"):
        development_certificate(tmp_path)


@pytest.mark.parametrize(
    ("value", "folder"),
    [("{tmp}/data", "{tmp}/data"), ("", "{tmp}/home/.local/share"), ("relative", "{tmp}/home/.local/share")],
)
def test_the_users_data_folder(tmp_path, monkeypatch, value, folder):
    monkeypatch.setenv("XDG_DATA_HOME", value.format(tmp=tmp_path))
    monkeypatch.setenv("HOME", f"{tmp_path}/home")
    assert str(data_folder()) == folder.format(tmp=tmp_path) + "/firstbyte/tls"


@pytest.mark.parametrize(
    ("platform", "command"),
    [
        ("linux", "update-ca-certificates"),
        ("linux", "certutil -d sql:"),
        ("darwin", "security add-trusted-cert"),
        ("win32", "certutil -user -addstore Root"),
        ("freebsd14", "certutil -d sql:"),
    ],
)
def test_how_to_trust(tmp_path, platform, command):
    told = how_to_trust(tmp_path / "authority.pem", platform)
    assert command in told
    assert f"curl --cacert {tmp_path}/authority.pem" in told
    assert f"curl --cacert '{tmp_path}/my data/authority.pem'" in how_to_trust(tmp_path / "my data" / "authority.pem")
