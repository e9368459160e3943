import gzip
import sys
import zlib

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.client import decoding
from firstbyte.client.decoding import PIECE, accept_encoding, make_decoder
from firstbyte.errors import DecodingError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def raw_deflate(data: bytes) -> bytes:
    compress = zlib.compressobj(wbits=-15)
    return compress.compress(data) + compress.flush()


ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
CASES = [*ENCODERS.items(), ("deflate", raw_deflate)]
IDS = [*ENCODERS, "raw deflate"]
TEXT = b"".join(b"line %d\n" % number for number in range(5000))


def decoded(coding: str, *pieces: bytes, **bounds: float | None) -> bytes:
    decoder = make_decoder(coding, **bounds)
    out = b"".join(out for piece in pieces for out in decoder.decode(piece))
    decoder.finish()
    return out


@pytest.mark.parametrize(("coding", "encode"), CASES, ids=IDS)
@pytest.mark.parametrize("data", [b"", b"a", TEXT], ids=["empty", "one byte", "text"])
def test_a_body_comes_back_whole_or_byte_by_byte(coding, encode, data):
    body = encode(data)
    assert decoded(coding, body) == data
    assert decoded(coding, *(body[i : i + 1] for i in range(len(body)))) == data
    assert decoded(coding, b"", body, b"") == data


@given(st.binary(max_size=2000), st.lists(st.sampled_from(["gzip", "deflate", "br", "zstd"]), min_size=1, max_size=5))
def test_nested_codings_come_off_in_the_right_order(data, codings):
    body = data
    for coding in codings:
        body = ENCODERS[coding](body)
    assert decoded(", ".join(codings), body[:7], body[7:]) == data


@pytest.mark.parametrize("value", [None, "", "identity", " Identity , "])
def test_there_may_be_nothing_to_decode(value):
    assert make_decoder(value) is None


@pytest.mark.parametrize("value", ["GZIP", "identity, gzip", "\tgzip ,"])
def test_codings_are_compared_without_case_and_identity_is_none(value):
    assert decoded(value, gzip.compress(b"a")) == b"a"


@pytest.mark.parametrize(
    ("coding", "body", "data"),
    [
        ("gzip", gzip.compress(b"a") + gzip.compress(b"") + gzip.compress(b"b"), b"ab"),
        ("gzip", gzip.compress(b"a") + bytes(600), b"a"),
        ("zstd", zstd.compress(b"a") + zstd.compress(b"b"), b"ab"),
        ("zstd", b"\x50\x2a\x4d\x18\x03\0\0\0xyz" + zstd.compress(b"a"), b"a"),  # a skippable frame
    ],
    ids=["gzip", "gzip padded", "zstd", "zstd with a skippable frame"],
)
def test_a_body_may_be_of_several_members(coding, body, data):
    assert decoded(coding, body) == data
    assert decoded(coding, *(body[i : i + 1] for i in range(len(body)))) == data


def test_very_many_members_cost_no_more_than_their_bytes():
    assert decoded("gzip", gzip.compress(b"a") * 20_000) == b"a" * 20_000


@pytest.mark.parametrize(("coding", "encode"), CASES, ids=IDS)
def test_an_empty_body_need_not_be_encoded(coding, encode):
    assert decoded(coding) == b""
    assert decoded(coding, b"") == b""


@pytest.mark.parametrize(("coding", "encode"), CASES, ids=IDS)
def test_a_body_that_ends_too_early_is_an_error(coding, encode):
    body = encode(TEXT)
    for cut in (1, len(body) // 2, len(body) - 1):
        with pytest.raises(DecodingError, match="ends too early") as caught:
            decoded(coding, body[:cut])
        assert caught.value.rule == coding.removeprefix("x-")
        assert caught.value.offset == cut


@pytest.mark.parametrize(("coding", "encode"), CASES, ids=IDS)
@pytest.mark.parametrize("pieces", [1, 2])
def test_what_follows_the_end_is_an_error(coding, encode, pieces):
    body = encode(b"abc")
    with pytest.raises(DecodingError, match="is not valid"):
        decoded(coding, *((body, b"junk!") if pieces == 2 else (body + b"junk!",)))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_what_is_not_of_the_coding_is_an_error(coding):
    with pytest.raises(DecodingError, match=f"the body in {coding}") as caught:
        decoded(coding, b"", b"<html>" * 100)
    assert caught.value.offset == 600


def test_a_wrong_checksum_is_an_error():
    body = bytearray(gzip.compress(b"abc"))
    body[-8] ^= 1
    with pytest.raises(DecodingError, match="gzip is not valid"):
        decoded("gzip", bytes(body))


@given(st.sampled_from(["gzip", "deflate", "br", "zstd"]), st.binary(max_size=60), st.integers(0, 40))
def test_whatever_comes_ends_in_an_answer_or_a_decoding_error(coding, junk, cut):
    try:
        decoded(coding, ENCODERS[coding](b"hello")[:cut] + junk)
    except DecodingError:
        pass


@pytest.mark.parametrize(("coding", "encode"), CASES, ids=IDS)
def test_output_comes_in_bounded_pieces(coding, encode):
    zeros = bytes(5_000_000)
    pieces = list(make_decoder(coding, max_ratio=None).decode(encode(zeros)))
    assert max(map(len, pieces)) < 2 * PIECE
    assert b"".join(pieces) == zeros


@pytest.mark.parametrize(("coding", "encode"), CASES, ids=IDS)
def test_a_body_that_decodes_to_too_much_is_an_error(coding, encode):
    body = encode(bytes(200_001))
    given = 0
    with pytest.raises(DecodingError, match="more than 200000 bytes") as caught:
        for piece in make_decoder(coding, max_size=200_000).decode(body):
            given += len(piece)
    assert given <= 200_000
    assert caught.value.rule == "size"
    assert len(decoded(coding, encode(bytes(200_000)), max_size=200_000)) == 200_000


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_body_that_decodes_to_too_many_times_its_size_is_an_error(coding, monkeypatch):
    monkeypatch.setattr(decoding, "RATIO_FROM", 100_000)
    with pytest.raises(DecodingError, match="more than 250 times its size") as caught:
        decoded(coding, ENCODERS[coding](bytes(1_000_000)))
    assert caught.value.rule == "ratio"
    assert len(decoded(coding, ENCODERS[coding](bytes(100_000)))) == 100_000
    assert len(decoded(coding, ENCODERS[coding](bytes(1_000_000)), max_ratio=None)) == 1_000_000


def test_what_a_stage_throws_away_counts_too():
    body = gzip.compress(gzip.compress(b"a") + bytes(300_000))
    with pytest.raises(DecodingError, match="more than 200000 bytes"):
        decoded("gzip, gzip", body, max_size=200_000)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("compress", "'compress' is not known"),
        ("gzip, aws-chunked", "'aws-chunked' is not known"),
        ("gzip;q=1", "is not known"),
        (", ".join(["gzip"] * 6), "6 codings; at most 5"),
    ],
)
def test_codings_that_cannot_be_taken_off(value, why):
    with pytest.raises(DecodingError, match=why) as caught:
        make_decoder(value)
    assert caught.value.rule == "codings"


def test_a_large_window_is_refused():
    options = {zstd.CompressionParameter.window_log: 24, zstd.CompressionParameter.enable_long_distance_matching: 1}
    compress = zstd.ZstdCompressor(options=options)
    body = compress.compress(TEXT) + compress.flush()
    with pytest.raises(DecodingError, match="zstd is not valid"):
        decoded("zstd", body)


def test_what_is_not_installed_is_not_asked_for(monkeypatch):
    assert accept_encoding() == "gzip, deflate, br, zstd"
    decoding._maker.cache_clear()
    monkeypatch.setitem(sys.modules, "brotli", None)
    try:
        assert accept_encoding() == "gzip, deflate, zstd"
        with pytest.raises(DecodingError, match=r"br, which needs firstbyte\[compression\]"):
            make_decoder("br")
    finally:
        decoding._maker.cache_clear()
