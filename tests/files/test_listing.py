"""The listing of a folder: page, JSON, zip."""

from __future__ import annotations

import io
import os
import re
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.support import ask
from files.support import folder_of
from firstbyte import App, Response
from firstbyte.files import archive, listing
from firstbyte.files.listing import Entry, View, page

THEN = 1_700_000_000.0  # 2023-11-14 22:13:20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, size in {
        "b.txt": 10,
        "A.png": 2000,
        "c&d.tar.gz": 5_000_000,
        "folder/deep/e.txt": 3,
        "folder/f.py": 1,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
        os.utime(path, (THEN + size, THEN + size))
    (tmp_path / ".hidden").write_text("hidden")
    (tmp_path / "folder" / "up").symlink_to("..")
    (tmp_path / "folder" / "deep" / "again").symlink_to("../../folder")
    (tmp_path / "outside").symlink_to("/etc")
    return tmp_path


@pytest.fixture
def app(root: Path) -> App:
    return folder_of(root, "/files", listing=True)


def text(response: Response) -> str:
    assert isinstance(response.body, bytes)
    assert response.status == 200
    return response.body.decode()


def names(response: Response) -> list[str]:
    return re.findall(r'<td><a href="\./(.*?)"', text(response))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["folder/", "A.png", "b.txt", "c%26d.tar.gz"]),
        ("?sort=name&order=desc", ["folder/", "c%26d.tar.gz", "b.txt", "A.png"]),
        ("?sort=size", ["folder/", "b.txt", "A.png", "c%26d.tar.gz"]),
        ("?sort=time&order=desc", ["folder/", "c%26d.tar.gz", "A.png", "b.txt"]),
        ("?filter=.T", ["b.txt", "c%26d.tar.gz"]),
        ("?filter=%26&sort=size", ["c%26d.tar.gz"]),
        ("?filter=none", []),
        ("?sort=nonsense&order=nonsense", ["folder/", "A.png", "b.txt", "c%26d.tar.gz"]),
    ],
)
def test_order_and_filter_without_scripts(app: App, query: str, expected: list[str]) -> None:
    assert names(ask(app, "GET", f"/files/{query}", accept="text/html")) == expected


def test_what_the_page_shows(app: App) -> None:
    shown = text(ask(app, "GET", "/files/"))
    assert '<img src="./A.png" alt="" loading="lazy"' in shown
    assert '<span title="5,000,000 bytes">4.8 MB</span>' in shown
    assert '<time datetime="2023-11-14T22:13:30Z">2023-11-14 22:13</time>' in shown
    assert ">1 folder, 3 files, 4.8 MB<" in shown
    assert 'href="?sort=name&amp;order=desc"' in shown
    assert "c&amp;d.tar.gz" in shown
    assert 'href="../"' not in shown
    deep = text(ask(app, "GET", "/files/folder/deep/"))
    assert '<a href="../../">Files</a><i>/</i><a href="../">folder</a><i>/</i><b>deep</b>' in deep
    assert "Nothing has that in its name." in text(ask(app, "GET", "/files/?filter=%3Cb%3E"))


def test_nothing_in_a_name_is_markup() -> None:
    evil = '"><script>alert(1)</script>'
    shown = page(f"/{evil}/", [Entry(evil, False, 1, THEN)], View(filter=evil), media_type=lambda name: "image/png")
    assert "<script>alert" not in shown
    assert shown.count("<script>") == 1
    assert shown.count("</h1>") == 1  # behind which others add their parts
    assert page("/", [], extra="<p>extra</p>").index("<p>extra</p>") > page("/", []).index("</h1>")


def test_a_folder_of_too_many_is_listed_in_part_and_says_so(
    app: App, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LISTED", 4)
    assert "More than 4" not in text(ask(app, "GET", "/files/"))  # it has four
    for number in range(10):
        (root / f"z{number}").write_text("z")
    part = ask(app, "GET", "/files/")
    assert (len(names(part)), "More than 4 are in this folder" in text(part)) == (4, True)
    found = ask(app, "GET", "/files/?filter=Z7")
    assert (names(found), "More than" in text(found)) == (["z7"], False)
    told = msgspec.json.decode(text(ask(app, "GET", "/files/", accept="application/json")))
    assert (len(told["entries"]), told["truncated"]) == (4, True)


def test_a_page_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "SHOWN", 3)
    shown = page("/", [Entry(f"{number}", False, 1, THEN) for number in range(10)])
    assert shown.count('<tr class="file">') == 3
    assert "7 more are not shown" in shown


@pytest.mark.parametrize("accept", ["application/json", "application/json, text/html;q=0.5"])
def test_json(app: App, accept: str) -> None:
    answer = ask(app, "GET", "/files/folder/", accept=accept)
    assert (answer.content_type, answer.headers["vary"]) == ("application/json", "Accept")
    entries = msgspec.json.decode(answer.body)["entries"]
    assert [(each["name"], each["type"], each["size"]) for each in entries] == [
        ("deep", "folder", None),
        ("f.py", "file", 1),
        ("up", "folder", None),
    ]
    assert entries[1]["modified"] == "2023-11-14T22:13:21.000+00:00"
    assert ask(app, "GET", "/files/folder/", accept="*/*").content_type == "text/html; charset=utf-8"


def unzipped(response: Response) -> zipfile.ZipFile:
    assert (response.status, response.content_type) == (200, "application/zip")
    return zipfile.ZipFile(io.BytesIO(b"".join(response.body)))  # type: ignore[arg-type]


def test_zip(app: App, root: Path) -> None:
    answer = ask(app, "GET", "/files/?zip")
    assert answer.headers["content-disposition"] == f'attachment; filename="{root.name}.zip"'
    with unzipped(answer) as found:
        assert found.testzip() is None
        assert sorted(found.namelist()) == ["A.png", "b.txt", "c&d.tar.gz", "folder/deep/e.txt", "folder/f.py"]
        assert found.read("A.png") == bytes(2000)
        assert found.getinfo("b.txt").compress_type == zipfile.ZIP_DEFLATED
        assert found.getinfo("c&d.tar.gz").compress_type == zipfile.ZIP_STORED
    with unzipped(ask(app, "GET", "/files/folder/?zip")) as found:
        assert sorted(found.namelist()) == ["deep/e.txt", "f.py"]


def test_a_name_that_is_a_path_on_other_systems(app: App, root: Path) -> None:
    (root / "folder" / "..\\..\\evil.txt").write_text("")
    assert b"evil" not in ask(app, "GET", "/files/folder/").body
    with unzipped(ask(app, "GET", "/files/folder/?zip")) as found:
        assert sorted(found.namelist()) == ["deep/e.txt", "f.py"]


def test_zip_of_nothing_of_too_much_and_of_what_goes_meanwhile(
    app: App, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "empty").mkdir()
    with unzipped(ask(app, "GET", "/files/empty/?zip")) as found:
        assert found.namelist() == []
    answer = ask(app, "GET", "/files/?zip")
    (root / "b.txt").unlink()
    os.utime(root / "A.png", (0, 0))  # 1970, which the format does not know
    with unzipped(answer) as found:
        assert "b.txt" not in found.namelist()
        assert found.getinfo("A.png").date_time == (1980, 1, 1, 0, 0, 0)
    monkeypatch.setattr(archive, "MAX_NAMES", 4)  # the folders are some of them
    assert ask(app, "GET", "/files/?zip").status == 413
    monkeypatch.undo()
    monkeypatch.setattr(archive, "MAX_FILES", 2)
    assert ask(app, "GET", "/files/?zip").status == 413


def test_the_memory_of_a_zip_does_not_grow_with_it(tmp_path: Path) -> None:
    with (tmp_path / "large.bin").open("wb") as large:
        large.truncate(64 << 20)
    app = folder_of(tmp_path, listing=True)
    pieces: Any = ask(app, "GET", "/?zip").body
    tracemalloc.start()
    try:
        assert sum(map(len, pieces)) > 64 << 20
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_no_zip_where_there_is_no_listing(root: Path) -> None:
    app = folder_of(root)
    assert ask(app, "GET", "/?zip").status == 404
