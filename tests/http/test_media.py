import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.http.media import MediaType, accepts, codec_of, guess_type, parse_quality_list

TOKENS = st.text(alphabet="abcxyz019!#$&-^_.+", min_size=1, max_size=10)


@pytest.mark.parametrize(
    ("text", "essence", "parameters"),
    [
        ("text/html", "text/html", {}),
        ("Text/HTML;Charset=UTF-8", "text/html", {"charset": "UTF-8"}),
        (' text/html ; charset="utf-8" ', "text/html", {"charset": "utf-8"}),
        ("text/html;", "text/html", {}),
        ("text/html; ;\t; a=b;", "text/html", {"a": "b"}),
        ('multipart/form-data; boundary="a; b=\\"c\\\\"', "multipart/form-data", {"boundary": 'a; b="c\\'}),
        ('a/b; c=""', "a/b", {"c": ""}),
        ("application/ld+json; profile=x", "application/ld+json", {"profile": "x"}),
    ],
)
def test_media_types_are_parsed(text, essence, parameters):
    media_type = MediaType.parse(text)
    assert media_type.essence == essence
    assert media_type.parameters == parameters


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "text/",
        "/html",
        "text/html/x",
        "text /html",
        "text/html charset=utf-8",
        "text/html; charset",
        "text/html; charset=",
        "text/html; charset =utf-8",
        "text/html; charset= utf-8",
        'text/html; charset="utf-8',
        'text/html; charset="utf-8"x',
        'text/html; charset="\n"',
        "text/html; charset=a b",
        "text/html; charset=utf-8; Charset=latin-1",
        "text/html, text/plain",
        "tëxt/html",
    ],
)
def test_what_is_no_media_type_is_refused(text):
    with pytest.raises(ValueError, match=r"media type|malformed|twice"):
        MediaType.parse(text)


def test_charset_is_in_lower_case():
    assert MediaType.parse("text/html; charset=UTF-8").charset == "utf-8"
    assert MediaType.parse("text/html").charset is None


def test_equal_ones_have_one_hash():
    one, same = MediaType.parse("text/html; a=b"), MediaType.parse("TEXT/html;a=b")
    assert one == same
    assert hash(one) == hash(same)
    assert one != MediaType.parse("text/html; a=c")


@given(TOKENS, TOKENS, st.dictionaries(TOKENS, st.text(st.characters(min_codepoint=32, max_codepoint=126))))
def test_a_media_type_survives_its_text(kind, subtype, parameters):
    media_type = MediaType(kind, subtype, parameters)
    assert MediaType.parse(str(media_type)) == media_type


@pytest.mark.parametrize(
    ("header", "members"),
    [
        ("", []),
        ("gzip", [("gzip", 1.0)]),
        ("gzip, br;q=0.8 ,\tdeflate ; Q=0", [("gzip", 1.0), ("br", 0.8), ("deflate", 0.0)]),
        ("EN-us;q=0.5, *;q=0.1", [("en-us", 0.5), ("*", 0.1)]),
        (",, gzip ,", [("gzip", 1.0)]),
        ("a;q=1.000, b;q=0.001, c;q=0.", [("a", 1.0), ("b", 0.001), ("c", 0.0)]),
        ("a;q=1.1, b;q=0.0001, c;q=-1, d;q=.5, e;q=x, f;q, g;q=1;q=0, h i, ok", [("ok", 1.0)]),
        ('a;b="c,d;q=0";q=0.5', [("a", 0.5)]),
        ('a, b;c="d', [("a", 1.0)]),
    ],
)
def test_quality_lists(header, members):
    assert parse_quality_list(header) == members


@pytest.mark.parametrize(
    ("header", "offered", "chosen"),
    [
        (None, ["text/html", "application/json"], "text/html"),
        ("", ["text/html"], "text/html"),
        ("*/*", ["application/json", "text/html"], "application/json"),
        ("text/html, application/json", ["application/json", "text/html"], "application/json"),
        ("text/html, application/json;q=0.9", ["application/json", "text/html"], "text/html"),
        ("TEXT/*;q=0.5, application/json;q=0.4", ["application/json", "text/html"], "text/html"),
        ("*/*, text/html;q=0", ["text/html", "image/png"], "image/png"),
        ("*/*;q=0.1, text/*;q=0, text/html", ["text/plain", "text/html"], "text/html"),
        ("image/png", ["text/html"], None),
        ("text/html;q=0", ["text/html"], None),
        ("text/html;q=0.5, text/html", ["text/html", "text/plain"], "text/html"),
        # what is malformed is as if it were not there
        ("image/png;q=2, text/html", ["image/png", "text/html"], "text/html"),
        ("garbage;", ["text/html"], None),
        ("text/html;q=.5", ["text/plain"], "text/plain"),
        ('text/plain;a="x, text/html', ["text/html"], "text/html"),
        ('text/plain;a="x,text/html"', ["text/html"], None),
        # parameters must be those of the offer, except for charset
        ("text/html;level=1, text/plain;q=0.5", ["text/html", "text/plain"], "text/plain"),
        ("text/html;level=1", ["text/html;level=1"], "text/html;level=1"),
        ("application/json;charset=utf-8", ["application/json"], "application/json"),
        # browsers and clients as they are
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            ["application/json", "text/html"],
            "text/html",
        ),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", ["application/json", "text/html"], "text/html"),
        ("*/*", [], None),
        (None, [], None),
    ],
)
def test_accepts(header, offered, chosen):
    assert accepts(header, offered) == chosen


@pytest.mark.parametrize(
    ("media_type", "weight"),
    [
        ("text/plain;format=flowed", 1.0),
        ("text/plain", 0.7),
        ("text/html", 0.3),
        ("image/jpeg", 0.5),
        ("text/plain;format=fixed", 0.4),
        ("text/html;level=3", 0.3),
    ],
)
def test_the_weights_of_rfc_9110_section_12_5_1(media_type, weight):
    header = "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5"
    lighter = f"{header}, x/lighter;q={weight - 0.05:.2f}"
    heavier = f"{header}, x/heavier;q={min(weight + 0.05, 1.0):.2f}"
    assert accepts(lighter, ["x/lighter", media_type]) == media_type
    assert accepts(heavier, ["x/heavier", media_type]) == "x/heavier"


def test_an_offer_that_is_no_media_type_is_a_mistake():
    with pytest.raises(ValueError, match="'html' is no media type"):
        accepts("*/*", ["html"])


@given(st.text(alphabet='ab/*;=q01., "\\\t', max_size=60))
def test_no_accept_raises(header):
    assert accepts(header, ["a/b"]) in ("a/b", None)


@pytest.mark.parametrize("piece", ['"\\', '"', '\\"', ";", " ", "a", ";a=", '"a",'])
def test_hostile_headers_take_linear_time(piece):
    hostile = "a/b;a" + piece * 100_000
    parse_quality_list(hostile)
    with pytest.raises(ValueError, match="malformed parameter"):
        MediaType.parse(hostile)


@pytest.mark.parametrize(
    ("filename", "content_type"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("A.HTML", "text/html; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("app.mjs", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("notes.md", "text/markdown; charset=utf-8"),
        ("data.json", "application/json"),
        ("logo.svg", "image/svg+xml"),
        ("a.wasm", "application/wasm"),
        ("font.woff2", "font/woff2"),
        ("photo.avif", "image/avif"),
        ("photo.webp", "image/webp"),
        ("film.mp4", "video/mp4"),
        ("film.webm", "video/webm"),
        ("site.webmanifest", "application/manifest+json"),
        ("archive.tar.gz", "application/gzip"),
        ("/a.html/photo.png", "image/png"),
        ("/a.html/file", "application/octet-stream"),
        (".html", "application/octet-stream"),
        ("file.", "application/octet-stream"),
        ("file.unknown", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_guess_type(filename, content_type):
    assert guess_type(filename) == content_type


@pytest.mark.parametrize(
    ("charset", "codec"), [("UTF8", "utf-8"), ("latin-1", "iso8859-1"), ("shift_jis", "shift_jis")]
)
def test_the_codec_of_a_charset(charset: str, codec: str) -> None:
    assert codec_of(charset) == codec


@pytest.mark.parametrize("charset", ["", "none", "käse", "zlib", "hex", "rot13", "punycode", "idna", "unicode_escape"])
def test_what_is_no_charset(charset: str) -> None:
    with pytest.raises(LookupError):
        codec_of(charset)
