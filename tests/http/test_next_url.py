"""Where a login goes on to: never to another site."""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.http.next_url import safe_next
from firstbyte.http.request import Request


def asked(value: str | None, host: str = "example.org") -> str:
    query = "" if value is None else f"?next={quote(value, safe='')}"
    return safe_next(Request.build("GET", f"/login{query}", {"Host": host}, scheme="https"), "/home")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("/", "/"),
        ("/tasks?a=b#c", "/tasks?a=b#c"),
        ("/a/../b", "/b"),
        ("/a//b", "/a//b"),
        ("https://example.org/x?y", "/x?y"),
        ("https://EXAMPLE.org:443/x", "/x"),
        ("https://example.org", "/"),
        ("/%2f%2fevil.example", "/%2f%2fevil.example"),
    ],
)
def test_what_is_followed(value: str, path: str) -> None:
    assert asked(value) == path


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "tasks",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        "/\n/evil.example",
        "/..//evil.example",
        "/.//evil.example",
        "https://example.org//evil.example",
        "http://example.org/x",
        "https://example.org:444/x",
        "https://example.org@evil.example/",
        "https://a:b@example.org/",
        "https://evil.example/",
        "https:evil.example",
        "https:/evil.example",
        "https://",
        "javascript:alert(1)",
        "data:text/html,x",
        " /x",
        "/x\x00",
    ],
)
def test_what_is_not(value: str | None) -> None:
    assert asked(value) == "/home"


@given(
    st.lists(
        st.sampled_from(["/", "\\", ".", "..", "//", ":", "@", "evil.example", "https:", "?", "#", "\t", "%2f"]),
        max_size=8,
    )
)
def test_no_text_leads_to_another_site(parts: list[str]) -> None:
    location = asked("".join(parts))
    assert location.startswith("/")
    assert urlsplit(urljoin("https://example.org/login", location)).netloc == "example.org"
