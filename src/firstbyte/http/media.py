"""Media types and the negotiation of them (RFC 9110 sections 8.3 and 12.5)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from posixpath import splitext
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from firstbyte.errors import HTTPError
from firstbyte.http.headers import TOKEN, Headers

_TOKEN = TOKEN.pattern
# Codecs of Python's own that are no charsets: some raise what no charset does, and punycode takes quadratic time.
_NO_CHARSETS = frozenset(
    ("idna", "punycode", "raw-unicode-escape", "raw_unicode_escape", "undefined", "unicode-escape", "unicode_escape")
)
# RFC 9110 section 5.6.6; a parameter may be missing after its semicolon.
_PARAMETER = re.compile(
    rf'[ \t]*+;[ \t]*+(?:({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t\x20-\x7e])*+)"))?'
)
_ESSENCE = re.compile(rf"({_TOKEN})/({_TOKEN})")
_MEMBER = re.compile(r'(?:[^",]++|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))++', re.DOTALL)  # a comma in quotes separates nothing
_MEMBER_VALUE = re.compile(rf"{_TOKEN}(?:/{_TOKEN})?")
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")  # RFC 9110 section 12.4.2


class MediaType(NamedTuple):
    """A media type (RFC 9110 section 8.3.1): `type` and `subtype` in lower case, its parameters by lower-case name.

    Parse one with `MediaType.parse`; `str(media_type)` puts it together again.
    """

    type: str
    subtype: str
    parameters: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def parse(cls, text: str) -> MediaType:
        """The media type that a Content-Type says. Raises ValueError for what is none, or has a parameter twice."""
        essence, parameters = value_and_parameters(text)
        match = _ESSENCE.fullmatch(essence)
        if match is None:
            raise ValueError(f"{text!r} is no media type")
        return cls(match[1], match[2], parameters)

    @property
    def essence(self) -> str:
        """Type and subtype without parameters: "text/html"."""
        return f"{self.type}/{self.subtype}"

    @property
    def charset(self) -> str | None:
        """The charset parameter in lower case, or None if there is none."""
        charset = self.parameters.get("charset")
        return None if charset is None else charset.lower()

    def __hash__(self) -> int:
        return hash((self.type, self.subtype))  # a mapping has none

    def __str__(self) -> str:
        parts = [self.essence]
        for name, value in self.parameters.items():
            written = value if TOKEN.fullmatch(value) else '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
            parts.append(f"{name}={written}")
        return "; ".join(parts)


def parse_quality_list(header: str) -> list[tuple[str, float]]:
    """The members of Accept-Encoding or Accept-Language in lower case with their weights of 0.0 to 1.0, in order.

    Weight 0.0 means: not acceptable. Malformed members are left out (RFC 9110 section 12.4.2).
    """
    return [(value, weight) for value, _, weight in _members(header)]


def accepts(header: str | None, offered: Sequence[str]) -> str | None:
    """The one of the offered media types ("text/html") that Accept prefers, or None if it takes none of them.

    The most specific range that matches an offer gives its weight; of the heaviest offers the first wins (RFC 9110
    section 12.5.1). Malformed members are ignored; without the header, or any member left, everything is welcome. A
    charset in Accept is ignored, since what is offered is sent in UTF-8 whatever it says. Raises ValueError for an
    offer that is no media type.
    """
    ranges = list(_members(header or "")) or [("*/*", {}, 1.0)]
    best, best_weight = None, 0.0
    for offer in offered:
        weight = _weight(MediaType.parse(offer), ranges)
        if weight > best_weight:
            best, best_weight = offer, weight
    return best


def value_and_parameters(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the first semicolon, in lower case, and the parameters behind it by lower-case name.

    Raises ValueError for a malformed parameter and for one that is given twice (RFC 9110 section 5.6.6).
    """
    text = text.strip(" \t")
    value = text.partition(";")[0]
    parameters: dict[str, str] = {}
    at = len(value)
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            raise ValueError(f"{text!r} has a malformed parameter at {at}")
        name, token, quoted = match.groups()
        if name is not None:
            if name.lower() in parameters:
                raise ValueError(f"{text!r} has the parameter {name} twice")
            parameters[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if token is None else token
        at = match.end()
    return value.rstrip(" \t").lower(), parameters


def guess_type(filename: str, default: str = "application/octet-stream") -> str:
    """The Content-Type for a file by the ending of its name; text is said to be UTF-8.

    Names without an ending, or with one that is not known, are `default`.
    """
    return _TYPES.get(splitext(filename)[1].lower(), default)


def codec_of(charset: str) -> str:
    """The name of Python's codec for a charset.

    Raises LookupError for one that Python does not know, and for its codecs that are no charsets.
    """
    name = codecs.lookup(charset).name
    if name in _NO_CHARSETS:
        raise LookupError(charset)
    b"a".decode(name, "replace")  # LookupError for those between bytes, such as zlib
    return name


def media_type_of(headers: Headers) -> MediaType | None:
    """The media type that Content-Type says, or None where there is none or a malformed one."""
    value = headers.get("content-type")
    if value is None:
        return None
    try:
        return MediaType.parse(value)
    except ValueError:
        return None


def text_of(data: bytes, media_type: MediaType | None, what: str) -> str:
    """`data` as text, by the charset of its media type (UTF-8 if none).

    Raises HTTPError, which calls it `what`: 400 if it is not that, 415 for an unknown charset.
    """
    charset = (media_type and media_type.charset) or "utf-8"
    try:
        return data.decode(codec_of(charset))
    except UnicodeDecodeError as error:
        raise HTTPError(400, f"{what} is not valid {charset}: {error.reason} at byte {error.start}") from None
    except LookupError:
        raise HTTPError(415, f"{what} is in the charset {charset!r}, which is unknown") from None


_Member: TypeAlias = tuple[str, dict[str, str], float]  # value in lower case, parameters other than the weight, weight


def _members(header: str) -> Iterator[_Member]:
    """The well-formed members of a list with weights."""
    for text in _MEMBER.findall(header):
        try:
            value, parameters = value_and_parameters(text)
        except ValueError:
            continue
        weight = parameters.pop("q", "1")
        if _MEMBER_VALUE.fullmatch(value) and _WEIGHT.fullmatch(weight):
            yield value, parameters, float(weight)


def _weight(offer: MediaType, ranges: Sequence[_Member]) -> float:
    """The weight that the most specific of the ranges which match gives to an offer, 0.0 if none does."""
    nested = ("*/*", f"{offer.type}/*", offer.essence)
    best, most_specific = 0.0, (-1, -1)
    for value, parameters, weight in ranges:
        wanted = {name: text for name, text in parameters.items() if name != "charset"}
        if value in nested and wanted.items() <= offer.parameters.items():
            specificity = (nested.index(value), len(wanted))
            if specificity > most_specific:
                best, most_specific = weight, specificity
    return best


def _content_types(table: str) -> Iterator[tuple[str, str]]:
    """Each ending with its dot, and the Content-Type for it, of a table with lines of a type and its endings."""
    for line in table.split("\n"):
        media_type, *endings = line.split()
        content_type = f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type
        for ending in endings:
            yield f".{ending}", content_type


# A table of our own: the system's differs from machine to machine, and so would our answers.
_TYPES = dict(
    _content_types("""\
application/atom+xml atom
application/dash+xml mpd
application/epub+zip epub
application/geo+json geojson
application/gzip gz tgz
application/java-archive jar
application/json json map
application/ld+json jsonld
application/manifest+json webmanifest
application/msword doc
application/pdf pdf
application/rss+xml rss
application/rtf rtf
application/toml toml
application/vnd.android.package-archive apk
application/vnd.apache.parquet parquet
application/vnd.apple.mpegurl m3u8
application/vnd.ms-excel xls
application/vnd.ms-fontobject eot
application/vnd.ms-powerpoint ppt
application/vnd.oasis.opendocument.presentation odp
application/vnd.oasis.opendocument.spreadsheet ods
application/vnd.oasis.opendocument.text odt
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx
application/vnd.rar rar
application/vnd.sqlite3 db sqlite sqlite3
application/wasm wasm
application/x-7z-compressed 7z
application/x-bzip2 bz2
application/x-ipynb+json ipynb
application/x-ndjson jsonl ndjson
application/x-tar tar
application/x-xz xz
application/xhtml+xml xhtml
application/xml xml xsd xsl
application/yaml yaml yml
application/zip zip
application/zstd zst
audio/aac aac
audio/flac flac
audio/midi mid midi
audio/mp4 m4a
audio/mpeg mp3
audio/ogg oga ogg opus
audio/wav wav
audio/webm weba
font/otf otf
font/ttf ttf
font/woff woff
font/woff2 woff2
image/apng apng
image/avif avif
image/bmp bmp
image/gif gif
image/heic heic
image/jpeg jpeg jpg
image/jxl jxl
image/png png
image/svg+xml svg
image/tiff tif tiff
image/vnd.microsoft.icon ico
image/webp webp
model/gltf+json gltf
model/gltf-binary glb
text/calendar ics
text/css css
text/csv csv
text/html htm html
text/javascript cjs js mjs
text/markdown md
text/plain cfg conf ini log txt
text/tab-separated-values tsv
text/vtt vtt
text/x-c c h
text/x-python py
text/x-rst rst
text/x-shellscript sh
video/matroska mkv
video/mp2t ts
video/mp4 m4v mp4
video/mpeg mpeg mpg
video/ogg ogv
video/quicktime mov
video/webm webm""")
)
