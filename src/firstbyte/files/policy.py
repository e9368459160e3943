"""What is said of a file beside its bytes: its media type, how long it may be cached, fields of one's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from posixpath import splitext
from typing import NamedTuple

from firstbyte.errors import ConfigurationError
from firstbyte.http.headers import Headers
from firstbyte.http.media import MediaType, guess_type
from firstbyte.http.response import OCTETS

NO_CACHE = "no-cache"  # keep it, but ask each time whether it still holds

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_AGE = re.compile(r"([0-9]{1,9})([smhdwy]?)")
# RFC 9111 section 5.2.2, RFC 8246 and RFC 5861; those that take a time are given it as `name=1h`.
_DIRECTIVES = frozenset(
    (
        "immutable",
        "must-revalidate",
        "must-understand",
        "no-cache",
        "no-store",
        "no-transform",
        "private",
        "proxy-revalidate",
        "public",
    )
)
_TIMED = frozenset(("max-age", "s-maxage", "stale-if-error", "stale-while-revalidate"))


class CacheRule(NamedTuple):
    """Files whose path or, if the pattern has no slash, name matches `pattern` are sent with this Cache-Control."""

    pattern: str
    value: str

    @classmethod
    def parse(cls, text: str) -> CacheRule:
        """The rule that "PATTERN=POLICY" says, as "*.js=1y,immutable". Raises ConfigurationError.

        A policy is directives of Cache-Control with commas between them; a bare time is the max-age. Times are seconds,
        or have the unit s, m, h, d, w or y.
        """
        pattern, equals, policy = text.partition("=")
        if not pattern or not equals:
            raise ConfigurationError(f'{text!r} is no rule for caches: write PATTERN=POLICY, as "*.js=1y,immutable"')
        return cls(pattern, ", ".join(_directive(each.strip().lower(), text) for each in policy.split(",")))

    def matches(self, path: str) -> bool:
        """Whether the rule is for the file at `path`, which is below the folder and begins without a slash."""
        return fnmatchcase(path if "/" in self.pattern else path.rpartition("/")[2], self.pattern.removeprefix("/"))


class Policy:
    """Media types and fields by path. Raises ConfigurationError for what can be neither."""

    def __init__(
        self,
        cache: Iterable[str | CacheRule] = (),
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        types: Mapping[str, str] | None = None,
        charset: str = "utf-8",
        default_type: str = OCTETS,
    ) -> None:
        self._rules = [rule if isinstance(rule, CacheRule) else CacheRule.parse(rule) for rule in cache]
        try:
            self.own = Headers(headers).items()
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
        for name, _ in self.own:
            if name.lower() in _SERVERS_OWN:
                raise ConfigurationError(f"the header {name} is the server's to write")
        self._types = dict(_checked_types(types or {}))
        self._charset = charset
        _check_type("files of no known ending", default_type)
        self._default_type = default_type

    def media_type(self, path: str) -> str:
        """The Content-Type for a file; text has the charset."""
        own = self._types.get(splitext(path)[1].lower())
        media_type = own or guess_type(path, "")
        if not media_type:
            own = media_type = self._default_type
        if media_type.startswith("text/") and (own is None or "charset" not in own):
            return f"{media_type.partition(';')[0]}; charset={self._charset}"
        return media_type

    def headers(self, path: str) -> dict[str, str]:
        """The fields for a file at a path below the folder; a name is there once, since the last one holds."""
        rule = next((rule for rule in self._rules if rule.matches(path)), None)
        fields = {} if rule is None else {"Cache-Control": rule.value}
        fields.update(self.own)
        return fields


def parse_header(text: str) -> tuple[str, str]:
    """The field that "Name: value" says. Raises ConfigurationError for none."""
    name, colon, value = text.partition(":")
    if not colon:
        raise ConfigurationError(f'{text!r} is no header: write "Name: value"')
    try:
        return Headers([(name.strip(), value.strip())]).items()[0]
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def parse_type(text: str) -> tuple[str, str]:
    """The ending and the media type that ".ENDING=TYPE" says. Raises ConfigurationError."""
    ending, equals, media_type = text.partition("=")
    if not equals:
        raise ConfigurationError(f"{text!r} is no media type for an ending: write .foo=application/x-foo")
    return next(iter(_checked_types({ending.strip(): media_type.strip()})))


def _checked_types(types: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for ending, media_type in types.items():
        _check_type(ending, media_type)
        yield "." + ending.removeprefix(".").lower(), media_type


def _check_type(what: str, media_type: str) -> None:
    try:
        MediaType.parse(media_type)
    except ValueError as error:
        raise ConfigurationError(f"for {what}: {error}") from None


def _directive(text: str, rule: str) -> str:
    name, equals, value = text.partition("=")
    age = _AGE.fullmatch(value if equals else text)
    if age is not None and (not equals or name in _TIMED):
        return f"{name if equals else 'max-age'}={int(age[1]) * _UNITS[age[2]]}"
    if not equals and name in _DIRECTIVES:
        return name
    raise ConfigurationError(f"{text!r} in {rule!r} is neither a time, as 1h or 1y, nor a directive of Cache-Control")


_SERVERS_OWN = frozenset(("connection", "content-length", "date", "keep-alive", "transfer-encoding", "upgrade"))
