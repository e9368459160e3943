"""Status codes and their reason phrases (RFC 9110 section 15)."""

from __future__ import annotations

from http import HTTPStatus

PHRASES: dict[int, str] = {
    **{status.value: status.phrase for status in HTTPStatus},
    # The standard library still has names that RFC 9110 has replaced.
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def phrase(status: int) -> str:
    """The reason phrase of a status; empty for one that has none."""
    return PHRASES.get(status, "")


def has_body(status: int) -> bool:
    """Whether a response of this status has content (RFC 9110 section 6.4.1): not 1xx, 204 and 304."""
    return status >= 200 and status not in (204, 304)
