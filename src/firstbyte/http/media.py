"""Media types and the negotiation of them (RFC 9110 sections 8.3 and 12.5)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from firstbyte.http.headers import TOKEN

_PARAMETER = re.compile(
    rf'[ \t]*;[ \t]*(?:({TOKEN.pattern})=(?:({TOKEN.pattern})|"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t\x20-\x7e])*)"))?'
)
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


@dataclass(frozen=True)
class MediaType:
    """A media type: `type` and `subtype` in lower case, and its parameters by lower-case name."""

    type: str
    subtype: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> MediaType:
        """The media type that a Content-Type says. Raises ValueError for what is none, or has a parameter twice."""
        essence, _, _ = text.partition(";")
        kind, slash, subtype = essence.strip(" \t").partition("/")
        if not slash or TOKEN.fullmatch(kind) is None or TOKEN.fullmatch(subtype) is None:
            raise ValueError(f"{text!r} is no media type")
        parameters: dict[str, str] = {}
        at = len(essence)
        while at < len(text):
            match = _PARAMETER.match(text, at)
            if match is None or match.end() == at:
                if not text[at:].strip(" \t"):
                    break
                raise ValueError(f"{text!r} has a malformed parameter")
            name, token, quoted = match.groups()
            if name is not None:
                if name.lower() in parameters:
                    raise ValueError(f"{text!r} has the parameter {name} twice")
                parameters[name.lower()] = token if token is not None else re.sub(r"\\(.)", r"\1", quoted)
            at = match.end()
        return cls(kind.lower(), subtype.lower(), parameters)

    @property
    def essence(self) -> str:
        """ "type/subtype", without parameters."""
        return f"{self.type}/{self.subtype}"

    def __str__(self) -> str:
        parts = [self.essence]
        for name, value in self.parameters.items():
            escaped = value if TOKEN.fullmatch(value) else '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
            parts.append(f"{name}={escaped}")
        return "; ".join(parts)


def parse_quality_list(header: str) -> list[tuple[str, float]]:
    """The members of Accept, Accept-Encoding or Accept-Language in lower case with their weights, in order.

    Malformed members are left out.
    """
    return [(value, weight) for value, weight in _members(header) if value]


def accepts(header: str | None, offered: Sequence[str]) -> str | None:
    """The one of the offered media types ("text/html") that Accept prefers, or None if it takes none of them.

    Without the header it is the first; of equally welcome ones too (RFC 9110 section 12.5.1).
    """
    if header is None or not header.strip():
        return offered[0]
    ranges = dict(reversed(parse_quality_list(header)))  # of one that is given twice the first counts
    best, best_weight = None, 0.0
    for media_type in offered:
        essence = media_type.partition(";")[0].lower()
        weight = 0.0
        # The most specific range that matches decides, not the heaviest.
        for candidate in (essence, essence.partition("/")[0] + "/*", "*/*"):
            if candidate in ranges:
                weight = ranges[candidate]
                break
        if weight > best_weight:
            best, best_weight = media_type, weight
    return best


def _members(header: str) -> Iterator[tuple[str, float]]:
    for member in header.split(","):
        value, *parameters = (part.strip(" \t") for part in member.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, number = parameter.partition("=")
            if name.lower() == "q":
                if _WEIGHT.fullmatch(number) is None:
                    value = ""
                    break
                weight = float(number)
        yield value.lower(), weight


# A table of our own: the system's differs from machine to machine, and so would our answers.
_TYPES = {
    "aac": "audio/aac", "apng": "image/apng", "atom": "application/atom+xml", "avif": "image/avif", "bin": "application/octet-stream",
    "bmp": "image/bmp", "bz2": "application/x-bzip2", "c": "text/x-c", "cfg": "text/plain", "conf": "text/plain",
    "css": "text/css", "csv": "text/csv", "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "epub": "application/epub+zip",
    "flac": "audio/flac", "gif": "image/gif", "gz": "application/gzip", "htm": "text/html", "html": "text/html",
    "ico": "image/vnd.microsoft.icon", "ics": "text/calendar", "ini": "text/plain", "jpeg": "image/jpeg", "jpg": "image/jpeg",
    "js": "text/javascript", "json": "application/json", "jsonld": "application/ld+json", "log": "text/plain",
    "m4a": "audio/mp4", "m4v": "video/mp4", "map": "application/json", "md": "text/markdown", "mid": "audio/midi",
    "mjs": "text/javascript", "mov": "video/quicktime", "mp3": "audio/mpeg", "mp4": "video/mp4", "mpeg": "video/mpeg",
    "odp": "application/vnd.oasis.opendocument.presentation", "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text", "oga": "audio/ogg", "ogg": "audio/ogg", "ogv": "video/ogg",
    "opus": "audio/ogg", "otf": "font/otf", "pdf": "application/pdf", "png": "image/png",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation", "py": "text/x-python",
    "rss": "application/rss+xml", "rst": "text/x-rst", "rtf": "application/rtf", "sh": "text/x-shellscript",
    "svg": "image/svg+xml", "tar": "application/x-tar", "tif": "image/tiff", "tiff": "image/tiff", "toml": "application/toml",
    "ts": "video/mp2t", "tsv": "text/tab-separated-values", "ttf": "font/ttf", "txt": "text/plain", "vtt": "text/vtt",
    "wasm": "application/wasm", "wav": "audio/wav", "weba": "audio/webm", "webm": "video/webm",
    "webmanifest": "application/manifest+json", "webp": "image/webp", "woff": "font/woff", "woff2": "font/woff2",
    "xhtml": "application/xhtml+xml", "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xml": "application/xml",
    "xz": "application/x-xz", "yaml": "application/yaml", "yml": "application/yaml", "zip": "application/zip",
    "zst": "application/zstd", "7z": "application/x-7z-compressed",
}  # fmt: skip


def guess_type(filename: str) -> str:
    """The Content-Type for a file by the ending of its name; text is said to be UTF-8."""
    media_type = _TYPES.get(PurePath(filename).suffix[1:].lower(), "application/octet-stream")
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type
