"""Certificates, contexts and what a peer shows, with handshakes in memory."""

from __future__ import annotations

import os
import ssl
from types import SimpleNamespace

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate
from hypothesis import given
from hypothesis import strategies as st

from engine.certificates import AUTHORITY, Handshake, authority_file, client_context, pair
from firstbyte.engine import _groups
from firstbyte.engine import tls as tls_module
from firstbyte.engine.tls import TLS, Certificates, looks_like_http
from firstbyte.engine.tls_peer import CIPHER_SUITES, peer_certificate, tls_extension
from firstbyte.errors import ConfigurationError


@pytest.fixture
def simple(tmp_path):
    return Certificates(TLS(*pair(tmp_path, "a.example")))


def test_a_client_gets_the_certificate(simple):
    done = Handshake(simple.context)
    assert done.names == ["a.example"]
    assert done.server.version() == "TLSv1.3"
    assert done.server.selected_alpn_protocol() is None
    assert done.say(b"hello") == b"hello"


def test_a_key_in_the_certificates_file(tmp_path):
    cert, key = pair(tmp_path, "a.example")
    cert.write_bytes(key.read_bytes() + cert.read_bytes())
    assert Handshake(Certificates(TLS(cert)).context).names == ["a.example"]


def test_an_intermediate_authority_is_sent_along(tmp_path):
    middle = AUTHORITY.create_child_ca()
    cert, key = pair(tmp_path, "a.example", authority=middle)
    assert Handshake(Certificates(TLS(cert, key)).context).names == ["a.example"]


# Mozilla's intermediate profile


def test_tls_1_1_is_refused(simple):
    client = client_context()
    with pytest.warns(DeprecationWarning):
        client.minimum_version = ssl.TLSVersion.TLSv1
        client.maximum_version = ssl.TLSVersion.TLSv1_1
    client.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        Handshake(simple.context, client)


@pytest.mark.parametrize(
    ("ciphers", "chosen"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("ECDHE-ECDSA-AES128-SHA256", None),
        ("ECDHE-ECDSA-AES256-SHA", None),
        ("AES128-GCM-SHA256", None),
        ("DHE-RSA-AES128-GCM-SHA256", None),
    ],
)
def test_the_client_chooses_among_good_ciphers(simple, ciphers, chosen):
    client = client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(ciphers)
    if chosen is None:
        with pytest.raises(ssl.SSLError):
            Handshake(simple.context, client)
    else:
        assert Handshake(simple.context, client).server.cipher()[0] == chosen


@pytest.mark.parametrize(
    ("curve", "good"),
    [("prime256v1", True), ("secp384r1", True), ("X25519", True), ("secp521r1", False), ("X448", False)],
)
def test_the_profiles_curves_and_no_others(simple, curve, good):
    client = client_context()
    client.set_ecdh_curve(curve)
    if good:
        Handshake(simple.context, client)
    else:
        with pytest.raises(ssl.SSLError):
            Handshake(simple.context, client)


def test_the_profiles_ciphers_and_no_others(simple):
    assert {each["name"]: each["id"] & 0xFFFF for each in simple.context.get_ciphers()} == CIPHER_SUITES


def test_groups_are_left_where_python_cannot_set_them(monkeypatch):
    def hidden(path):
        raise OSError(path)

    monkeypatch.setattr(_groups.ctypes, "CDLL", hidden)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert _groups.set_groups(context, "P-256") is hasattr(context, "set_groups")


def test_groups_are_set_by_python_where_it_can():
    class Newer(ssl.SSLContext):
        def set_groups(self, groups):
            self.groups = groups

    context = Newer(ssl.PROTOCOL_TLS_SERVER)
    assert _groups.set_groups(context, "P-256")
    assert context.groups == "P-256"


def test_no_compression_no_renegotiation(simple):
    assert simple.context.options & ssl.OP_NO_COMPRESSION
    assert simple.context.options & ssl.OP_NO_RENEGOTIATION
    assert Handshake(simple.context).server.compression() is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed_by_its_ticket(simple, version):
    client = client_context()
    client.maximum_version = version
    first = Handshake(simple.context, client)
    first.say()
    assert not first.server.session_reused
    again = Handshake(simple.context, client, session=first.client.session)
    assert again.server.session_reused


# ALPN and SNI


@pytest.mark.parametrize(
    ("server", "client", "chosen"),
    [
        (("http/1.1",), ["h2", "http/1.1"], "http/1.1"),
        (("h2", "http/1.1"), ["http/1.1", "h2"], "h2"),
        (("http/1.1",), ["spdy/1"], None),
    ],
)
def test_alpn(tmp_path, server, client, chosen):
    context = client_context()
    context.set_alpn_protocols(client)
    certificates = Certificates(TLS(*pair(tmp_path, "a.example"), alpn=server))
    assert Handshake(certificates.context, context).server.selected_alpn_protocol() == chosen


@pytest.fixture
def several(tmp_path):
    return Certificates(
        TLS(
            *pair(tmp_path, "a.example", "*.shared.example"),
            extra=(
                pair(tmp_path, "*.b.example", "b.example"),
                pair(tmp_path, "xn--bcher-kva.example", key_type=trustme.KeyType.RSA),
                pair(tmp_path, "www.shared.example", "a.example"),
                pair(tmp_path, "127.0.0.1", "::1"),
            ),
            alpn=("http/1.1",),
        )
    )


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("a.example", "a.example"),
        ("b.example", "*.b.example"),
        ("WWW.B.example", "*.b.example"),
        ("deep.www.b.example", "a.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("www.shared.example", "www.shared.example"),
        ("ftp.shared.example", "a.example"),
        ("elsewhere.example", "a.example"),
        ("example", "a.example"),
        (None, "a.example"),
    ],
)
def test_sni_chooses_the_certificate(several, asked, shown):
    client = client_context()
    client.check_hostname = False
    client.set_alpn_protocols(["http/1.1"])
    done = Handshake(several.context, client, name=asked)
    assert done.names[0] == shown
    assert done.server.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "127.0.0.1"),
        ("0:0:0:0:0:0:0:1", "127.0.0.1"),
        ("10.0.0.1", "a.example"),
        ("", "a.example"),
    ],
)
def test_a_client_without_a_name_gets_the_certificate_of_the_address(several, address, shown):
    client = client_context()
    client.check_hostname = False
    assert Handshake(several.context_for(address), client, name=None).names[0] == shown


@given(name=st.text() | st.from_regex(r"[0-9a-fA-F:.%*]{1,20}"))
def test_any_name_may_be_asked_for(one, name):
    """The callback must not raise: Python would answer with an internal error, and print it."""
    connection = SimpleNamespace(context=one.context)
    one.context.sni_callback(connection, name, one.context)
    assert connection.context is one.context


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return Certificates(TLS(*pair(tmp_path_factory.mktemp("one"), "a.example", "*.b.example")))


def test_sni_counts_for_more_than_the_address(several):
    assert Handshake(several.context_for("127.0.0.1"), name="b.example").names[0] == "*.b.example"


# client certificates


def with_client_certificates(tmp_path, mode):
    folder = tmp_path / "server"
    folder.mkdir()
    return Certificates(
        TLS(
            *pair(folder, "a.example"),
            ca=authority_file(folder),
            client_certificates=mode,
            extra=(pair(folder, "b.example"),),
        )
    )


def client_with(tmp_path, authority=AUTHORITY, **options):
    client = client_context()
    client.load_cert_chain(*pair(tmp_path, "zoe@example.org", authority=authority, **options))
    return client


@pytest.mark.parametrize("mode", ["optional", "required"])
@pytest.mark.parametrize("name", ["a.example", "b.example"])
def test_the_peers_certificate(tmp_path, mode, name):
    certificates = with_client_certificates(tmp_path, mode)
    client = client_with(tmp_path, AUTHORITY.create_child_ca(), common_name='Zoë, "R&D"', organization_name=" a#b")
    done = Handshake(certificates.context, client, name=name)
    peer = peer_certificate(done.server)
    assert peer is not None
    truth = load_der_x509_certificate(peer.der)
    assert peer.subject == 'CN=Zoë\\, \\"R&D\\",OU=' + peer.subject.partition(",OU=")[2]
    assert peer.subject.endswith(",O=\\ a#b")
    assert peer.issuer == truth.issuer.rfc4514_string()
    assert peer.serial == truth.serial_number
    assert (peer.not_before, peer.not_after) == (truth.not_valid_before_utc, truth.not_valid_after_utc)
    assert peer.san[0][0] == "email"
    assert len(peer.chain) == 2
    assert [
        load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER) for pem in peer.pem_chain
    ] == [*peer.chain]


def test_a_resumed_session_still_knows_its_peer(tmp_path):
    certificates = with_client_certificates(tmp_path, "required")
    client = client_with(tmp_path)
    first = Handshake(certificates.context, client)
    first.say()
    again = Handshake(certificates.context, client, session=first.client.session)
    assert again.server.session_reused
    assert peer_certificate(again.server).der == peer_certificate(first.server).der
    assert peer_certificate(again.server).subject == peer_certificate(first.server).subject


def test_a_client_may_have_none_where_it_is_optional(tmp_path):
    done = Handshake(with_client_certificates(tmp_path, "optional").context)
    assert peer_certificate(done.server) is None


@pytest.mark.parametrize("name", ["a.example", "b.example"])
def test_a_client_must_have_one_where_it_is_required(tmp_path, name):
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        Handshake(with_client_certificates(tmp_path, "required").context, name=name)


@pytest.mark.parametrize("mode", ["optional", "required"])
def test_another_authority_is_not_good_enough(tmp_path, mode):
    client = client_with(tmp_path, trustme.CA())
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        Handshake(with_client_certificates(tmp_path, mode).context, client)


def test_the_tls_extension_of_asgi(tmp_path):
    certificates = with_client_certificates(tmp_path, "optional")
    done = Handshake(certificates.context, client_with(tmp_path), name="b.example")
    extension = tls_extension(done.server)
    assert extension.pop("server_cert") == certificates.certificates[1].pem
    assert extension.pop("client_cert_chain")[0] == peer_certificate(done.server).pem
    assert extension.pop("client_cert_name") == peer_certificate(done.server).subject
    assert extension == {"client_cert_error": None, "tls_version": 0x0304, "cipher_suite": 0x1302}


def test_the_tls_extension_without_a_client_certificate(simple):
    client = client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    assert tls_extension(Handshake(simple.context, client).server) == {
        "server_cert": simple.certificates[0].pem,
        "client_cert_chain": [],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": 0x0303,
        "cipher_suite": 0xC02B,
    }


# reload


def test_nothing_changed(simple):
    assert not simple.changed()


def test_a_renewed_certificate_is_for_new_handshakes(tmp_path, simple):
    old = Handshake(simple.context)
    before = simple.certificates[0].serial
    pair(tmp_path, "a.example", "new.example", stem="a.example")
    assert simple.changed()
    simple.reload()
    assert not simple.changed()
    assert simple.certificates[0].serial != before
    assert Handshake(simple.context).names == ["a.example", "new.example"]
    assert old.say(b"still here") == b"still here"


def test_a_file_that_is_swapped_in_by_name_is_noticed(tmp_path, simple):
    """As certbot and Kubernetes do it: same size and time are possible, another file it is."""
    cert = tmp_path / "a.example.pem"
    stat = cert.stat()
    other = tmp_path / "other"
    other.write_bytes(cert.read_bytes())
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(cert)
    assert simple.changed()


def test_what_cannot_be_loaded_leaves_the_old_ones_and_is_not_tried_again(tmp_path, simple):
    cert, key = pair(tmp_path, "c.example")
    (tmp_path / "a.example.pem").write_bytes(cert.read_bytes())  # the key comes a moment later
    assert simple.changed()
    with pytest.raises(ConfigurationError, match="does not belong"):
        simple.reload()
    assert not simple.changed()
    assert Handshake(simple.context).names == ["a.example"]
    (tmp_path / "a.example.key").write_bytes(key.read_bytes())
    assert simple.changed()
    simple.reload()
    assert Handshake(simple.context, name="c.example").names == ["c.example"]


def test_a_file_that_is_gone_is_a_change(tmp_path, simple):
    (tmp_path / "a.example.key").unlink()
    assert simple.changed()
    with pytest.raises(ConfigurationError, match=r"cannot read the private key file .*a\.example\.key"):
        simple.reload()
    assert not simple.changed()


def test_the_authority_of_clients_is_reloaded(tmp_path):
    certificates = with_client_certificates(tmp_path, "required")
    other = trustme.CA()
    client = client_with(tmp_path, other)
    authority_file(tmp_path / "server", other)
    assert certificates.changed()
    certificates.reload()
    assert peer_certificate(Handshake(certificates.context, client).server) is not None


def test_ticket_keys_do_not_live_for_ever(simple, monkeypatch):
    client = client_context()
    first = Handshake(simple.context, client)
    first.say()
    monkeypatch.setattr(tls_module, "TICKET_KEYS_FOR", -1)
    simple.reload()
    assert simple.changed()
    assert not Handshake(simple.context, client, session=first.client.session).server.session_reused


# plain HTTP


@pytest.mark.parametrize(
    "data",
    [
        b"G",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"get ",
        b"\r\nPOST /",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"VERSION-CONTROL /x",
    ],
)
def test_http_is_seen(data):
    assert looks_like_http(data)


@pytest.mark.parametrize("data", [b"", b"\x16", b"\x16\x03\x01\x02\x00", b"\x80\x2e\x01", b"SSH-2.0-x", b"\x00GET / "])
def test_what_is_no_http(data):
    assert not looks_like_http(data)


@given(st.binary(max_size=64))
def test_a_tls_record_is_never_http(rest):
    assert not any(looks_like_http(bytes([kind]) + rest) for kind in (20, 21, 22, 23, 24))


def test_a_client_hello_is_no_http():
    out = ssl.MemoryBIO()
    hello = client_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="a.example")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    assert not looks_like_http(out.read())
