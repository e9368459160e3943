"""A folder as a site."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from app.support import ask, get
from files.support import folder_of
from firstbyte import App
from firstbyte.errors import ConfigurationError
from firstbyte.files.static import StaticFiles


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    (root / "sub").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "index.html").write_text("home")
    (root / "a.txt").write_text("text")
    (root / "sub" / "index.html").write_text("sub")
    (root / "café ☃.txt").write_text("unicode")
    (root / "empty" / "<b>.txt").write_text("odd")
    (root / ".hidden").write_text("hidden")
    (tmp_path / "secret.txt").write_text("SECRET")
    (root / "out").symlink_to(tmp_path / "secret.txt")
    (root / "in").symlink_to(root / "a.txt")
    return root


@pytest.fixture
def app(root: Path) -> App:
    return folder_of(root, listing=True)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", b"home"),
        ("/index.html", b"home"),
        ("/a.txt", b"text"),
        ("/sub/", b"sub"),
        ("/caf%C3%A9%20%E2%98%83.txt", b"unicode"),
        ("/in", b"text"),
        ("/sub/../a.txt", None),
        ("/.hidden", None),
        ("/out", None),
        ("/missing", None),
        ("/a.txt/", None),
        ("/a.txt/x", None),
        ("/sub%2Findex.html", None),
        ("/%73ub/", b"sub"),
        ("//", None),
        ("//a.txt", None),
        ("/sub//index.html", None),
        ("/" + "a" * 5000, None),
    ],
)
def test_what_is_served(app: App, path: str, body: bytes | None) -> None:
    status, came = get(app, path)
    assert (status, came if body else None) == (200 if body else 404, body)


def test_a_folder_without_its_slash_is_redirected(app: App) -> None:
    response = ask(app, "GET", "/sub?a=b")
    assert (response.status, response.headers["location"]) == (308, "sub/?a=b")


def test_a_listing(app: App, root: Path) -> None:
    page = ask(app, "GET", "/empty/")
    assert b'href="./%3Cb%3E.txt">&lt;b&gt;.txt' in page.body  # type: ignore[operator]
    closed = folder_of(root)
    assert get(closed, "/empty/")[0] == 404


def test_a_listing_has_what_can_be_asked_for(app: App, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "empty"
    (folder / "loop").symlink_to("loop")
    (folder / "nowhere").symlink_to("missing")
    (folder / "outside").symlink_to(root.parent)
    (folder / "inside").symlink_to(root / "sub")
    (folder / ".hidden").write_text("hidden")
    (folder / os.fsdecode(b"caf\xe9")).write_text("no UTF-8")
    page = ask(app, "GET", "/empty/").body
    assert isinstance(page, bytes)
    names = re.findall(r'href="./(.*?)"', page.decode())
    assert names == ["inside/", "%3Cb%3E.txt"]
    assert [get(app, f"/empty/{name}")[0] for name in names] == [200, 200]

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    assert get(app, "/empty/")[0] == 403


def test_a_folder_that_may_not_be_searched_is_no_fault(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.stat

    def stat(path: Any, **options: Any) -> os.stat_result:
        if str(path).endswith("index.html"):
            raise PermissionError(13, "Permission denied")
        return real(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    assert get(app, "/sub/")[0] == 200  # a listing of the names


@pytest.mark.parametrize(
    ("path", "location"),
    [("/empty/link", "link/"), ("/a:b", "a%3Ab/"), ("/%73ub", "%73ub/")],
)
def test_a_folder_is_redirected_to_the_name_it_was_asked_by(app: App, root: Path, path: str, location: str) -> None:
    (root / "a:b").mkdir()
    (root / "empty" / "link").symlink_to(root / "sub")
    assert ask(app, "GET", path).headers["location"] == location


def test_methods(app: App) -> None:
    refused = ask(app, "POST", "/a.txt")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    options = ask(app, "OPTIONS", "/a.txt")
    assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert ask(app, "HEAD", "/a.txt").status == 200


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no folder"):
        StaticFiles(tmp_path / "none")


def test_nothing_of_a_folder_that_is_left_out_is_served_or_listed(tmp_path: Path) -> None:
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "a.py").write_text("secret")
    (tmp_path / "link.py").symlink_to(tmp_path / "programs" / "a.py")
    (tmp_path / "b.txt").write_text("b")
    app = folder_of(tmp_path, listing=True, without=[tmp_path / "programs"])
    for path in ("/programs/a.py", "/programs/", "/programs", "/link.py", "/%70rograms/a.py"):
        assert ask(app, "GET", path).status == 404
    page = ask(app, "GET", "/").body
    assert isinstance(page, bytes)
    assert b"b.txt" in page
    assert b"programs" not in page
    assert b"link.py" not in page


PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_a_page_of_ones_own_for_what_is_not_there(root: Path) -> None:
    (root / "404.html").write_text("lost?")
    app = folder_of(root)
    missing = ask(app, "GET", "/nowhere", **PAGE)
    assert (missing.status, missing.body, missing.content_type) == (404, b"lost?", "text/html; charset=utf-8")
    assert ask(app, "GET", "/nowhere", accept="application/json").content_type == "application/problem+json"
    assert get(app, "/404.html", **PAGE) == (200, b"lost?")
    assert ask(app, "GET", "/nowhere", range="bytes=0-1", **PAGE).body == b"lost?"


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/tasks/42", PAGE, 200),
        ("/tasks/42/", PAGE, 200),
        ("/tasks/42?tab=1", PAGE, 200),
        ("/users/jane.doe", PAGE, 200),
        ("/tasks/42", {**PAGE, "sec_fetch_mode": "navigate"}, 200),
        ("/assets/app.js", {"accept": "*/*"}, 404),
        ("/assets/app.js", {}, 404),
        ("/logo.png", {"accept": "image/avif,image/webp,*/*;q=0.8"}, 404),
        ("/api/tasks", {"accept": "application/json"}, 404),
        ("/tasks", {"accept": "text/html;q=0, */*"}, 404),
        ("/tasks", {**PAGE, "sec_fetch_mode": "cors"}, 404),
        ("/.git/config", PAGE, 404),
        ("/..%2fsecret.txt", PAGE, 404),
    ],
)
def test_a_single_page_application(root: Path, path: str, fields: dict[str, str], status: int) -> None:
    answer = ask(folder_of(root, spa=True), "GET", path, **fields)
    assert answer.status == status
    if status == 200:
        assert (answer.body, answer.headers["vary"]) == (b"home", "Accept")
    assert ask(folder_of(root), "GET", path, **fields).status == 404


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/about", b"about"),
        ("/about?x=1", b"about"),
        ("/about.html", "./about"),
        ("/about.html?x=1", "./about?x=1"),
        ("/index.html", "./"),
        ("/sub/index.html", "./"),
        ("/sub", "sub/"),
        ("/both", b"page"),
        ("/both/", None),
        ("/about/", None),
        ("/a.txt", b"text"),
        ("/a", None),
        ("/", b"home"),
    ],
)
def test_clean_urls(root: Path, path: str, expected: bytes | str | None) -> None:
    (root / "about.html").write_text("about")
    (root / "both.html").write_text("page")
    (root / "both").mkdir()
    answer = ask(folder_of(root, clean_urls=True), "GET", path)
    if isinstance(expected, str):
        assert (answer.status, answer.headers["location"]) == (308, expected)
    else:
        assert (answer.status, answer.body if expected else None) == (200 if expected else 404, expected)
