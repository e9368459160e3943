"""The grammar of a message head (RFC 9112 sections 2 to 5, RFC 9110 section 5), each rule once, as bytes patterns.

The fast patterns for a whole head and the line-by-line check that explains a refusal are made of the same pieces: they
cannot disagree. `++` and `*+` are possessive: nothing here backtracks, whatever comes.
"""

from __future__ import annotations

import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # RFC 9110 section 5.6.2
TARGET = rb"[\x21\x22\x24-\x7e]++"  # visible ASCII but "#": RFC 3986 leaves no fragment in a request-target
VALUE = rb"[\t\x20-\x7e\x80-\xff]*+"  # field-value with its optional whitespace, RFC 9110 section 5.5
REQUEST_LINE = rb"(" + TOKEN + rb") (" + TARGET + rb") HTTP/1\.([0-9])"
FIELD_LINE = TOKEN + rb":" + VALUE + rb"\r\n"

request_line = re.compile(REQUEST_LINE)
"""Without its line end; groups: method, target, minor version."""
field_line = re.compile(FIELD_LINE)
field_block = re.compile(rb"(?:" + FIELD_LINE + rb")*+")
"""All field lines of a head, without the empty line that ends it."""
token = re.compile(TOKEN)

# uri-host [ ":" port ]: RFC 9110 section 7.2, RFC 3986 section 3.2.2. An IP literal is checked no further.
host = re.compile(rb"(?:(?:[0-9A-Za-z\-._~!$&'()*+,;=]++|%[0-9A-Fa-f]{2})++|\[[0-9A-Fa-f:.]++\])(?::[0-9]{0,5})?")

absolute_target = re.compile(r"(https?)://([^/?#]*)([^?#]*)(\?.*)?", re.IGNORECASE)
"""Absolute-form (RFC 9112 section 3.2.2); groups: scheme, authority, path, query with its "?"."""

_BWS = rb"[ \t]*+"  # RFC 9110 section 5.6.3
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'  # RFC 9110 section 5.6.4
_EXTENSION = _BWS + rb";" + _BWS + TOKEN + rb"(?:" + _BWS + rb"=" + _BWS + rb"(?:" + TOKEN + rb"|" + _QUOTED + rb"))?"
chunk_size = re.compile(rb"([0-9A-Fa-f]{1,15})(?:" + _EXTENSION + rb")*+\r\n")
"""A chunk header with its extensions (RFC 9112 section 7.1); fifteen digits hold any length that can be sent."""
