"""From paths to files: no trick leaves the root."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.support import get
from files.support import folder_of
from files.traversals import SECRET, traversals
from firstbyte.errors import HTTPError
from firstbyte.files.paths import Root

CONTENT = "not to be seen"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    (root / "sub" / "x").mkdir(parents=True)
    (root / ".git").mkdir()
    for name in ("index.html", "404.html", ".hidden", ".git/config", "sub/.env"):
        (root / name).write_text(CONTENT if "." in (name[0], name.rpartition("/")[2][0]) else "fine")
    (tmp_path / SECRET).write_text(CONTENT)
    (root / "out").symlink_to(tmp_path / SECRET)
    (root / "up").symlink_to(tmp_path)
    (root / "loop").symlink_to("loop")
    return root


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
@pytest.mark.parametrize("prefix", ["", "/static"])
def test_no_trick_leaves_the_root(site: Path, prefix: str, accept: str) -> None:
    app = folder_of(site, prefix or "/", listing=True, clean_urls=True, spa=True)
    tried = set()
    for path in traversals(str(site.parent).removeprefix("/")):
        status, body = get(app, prefix + path, accept=accept)
        assert CONTENT.encode() not in body, path
        assert SECRET.encode() not in body or status != 200, path  # in no listing either
        tried.add(path)
    assert len(tried) > 10_000


def test_what_may_be_opened(site: Path) -> None:
    (site / ".well-known").mkdir()
    (site / ".well-known" / "security.txt").write_text("contact")
    (site / "sub" / ".well-known").mkdir()
    closed, opened = Root(site), Root(site, hidden=True, follow_links=True)
    for parts, is_open, is_opened in [
        ([".well-known", "security.txt"], True, True),
        (["sub", ".well-known"], False, True),
        ([".git", "config"], False, True),
        (["sub", ".env"], False, True),
        (["sub", ".."], False, False),
        (["."], False, False),
        (["sub", ""], False, False),
    ]:
        for root, expected in ((closed, is_open), (opened, is_opened)):
            assert all(root.is_served_name(name, at) for at, name in enumerate(parts)) == expected, parts
    assert closed.locate(["out"]) is None
    assert opened.locate(["out"]) == str(site.parent / SECRET)
    assert opened.locate(["loop"]) is None


WINDOWS = [
    "con",
    "prn",
    "AUX",
    "nul",
    "com1",
    "COM¹",
    "lpt9",
    "con.txt",
    "Nul.tar.gz",
    "conin$",
    "CONOUT$",
    "a:",
    "a:b",
    "a.txt::$DATA",
    "PROGRA~1",
    "SECRET~1.TXT",
    "a.",
    "a*",
    "a?",
    "a|b",
    "a<b",
    "a>b",
    'a"b',
]


@pytest.mark.parametrize("name", [*WINDOWS, "con ", "nul .txt", "a ", "a\tb"])
def test_names_that_are_others_on_windows(site: Path, name: str) -> None:
    assert not Root(site, windows=True).is_served_name(name)
    assert Root(site, windows=False).is_served_name(name)


@pytest.mark.parametrize("name", ["a", "console", "a.con", "com10", "a~b", "café ☃.txt", "nula.txt", "lpt"])
def test_names_that_are_themselves_on_windows(site: Path, name: str) -> None:
    assert Root(site, windows=True).is_served_name(name)


def test_every_unicode_name_is_served(site: Path) -> None:
    app = folder_of(site)
    for name in (
        "日本語.txt",
        "é",
        "e\u0301",
        "😀.png",
        "a b+c&d=e%.txt",
        "кот.html",
        "\u202etxt.exe",
        "a\nb",
        "a;b",
        "a:b",
        "~1",
    ):
        (site / name).write_text("here")
        path = "/" + "".join(f"%{byte:02X}" for byte in name.encode())
        assert get(app, path) == (200, b"here"), name


def test_a_path_has_one_address(site: Path) -> None:
    root = Root(site)
    for raw, path in [("/a%2fb", "/a/b"), ("/a%5Cb", "/a\\b"), ("/a\\b", "/a\\b"), ("/a//b", "/a//b")]:
        with pytest.raises(HTTPError):
            root.parts(raw, path)
    assert root.parts("/", "/") == []
    assert root.parts("/a/b/", "/a/b/") == ["a", "b"]
