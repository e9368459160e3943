"""Uploads in parts: tus 1.0, without a server."""

from __future__ import annotations

import os
from base64 import b64encode
from hashlib import new as new_hash
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.support import ask
from files.support import app_of, names, said
from firstbyte import App, Response
from firstbyte.errors import HTTPError
from firstbyte.files import upload_store
from firstbyte.files.upload_store import PARTIALS, Store, UploadLimits

CHUNK = "application/offset+octet-stream"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "site" / "sub").mkdir(parents=True)
    return tmp_path / "site"


@pytest.fixture
def app(root: Path) -> App:
    return app_of(root)


def text(value: str) -> str:
    return b64encode(value.encode()).decode()


def tus(app: App, method: str, path: str, body: bytes = b"", **fields: object) -> Response:
    given = {"Tus_Resumable": "1.0.0", **{name: str(value) for name, value in fields.items()}}
    return ask(app, method, path, body, **given)


def create(app: App, length: int, name: str = "b.bin", path: str = "/sub/", **fields: object) -> str:
    """The address of a new upload."""
    metadata = f"filename {text(name)},filetype {text('text/plain')},empty"
    answer = tus(app, "POST", path, Upload_Length=length, Upload_Metadata=metadata, **fields)
    assert answer.status == 201, said(answer)
    location = answer.headers["location"]
    assert location.startswith(f"{path}.uploads/")
    return location


def patch(app: App, path: str, offset: int, body: bytes, **fields: object) -> Response:
    return tus(app, "PATCH", path, body, Upload_Offset=offset, Content_Type=CHUNK, **fields)


def test_an_upload_in_parts(app: App, root: Path) -> None:
    path = create(app, 10)
    assert not (root / "sub" / "b.bin").exists()
    assert [patch(app, path, at, b"12345"[: 10 - at]).headers["upload-offset"] for at in (0, 5)] == ["5", "10"]
    assert (root / "sub" / "b.bin").read_bytes() == b"1234512345"
    head = tus(app, "HEAD", path)
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("10", "10")
    assert head.headers["content-location"] == "/sub/b.bin"
    assert head.headers["cache-control"] == "no-store"
    assert patch(app, path, 10, b"").status == 204
    assert patch(app, path, 0, b"x").status == 409


def test_head_tells_where_to_go_on(app: App) -> None:
    path = create(app, 10)
    patch(app, path, 0, b"123")
    head = tus(app, "HEAD", path)
    assert (head.status, head.headers["upload-offset"]) == (200, "3")
    assert "filename" in head.headers["upload-metadata"]
    assert head.headers["upload-expires"].endswith("GMT")
    assert patch(app, path, 2, b"x").headers["upload-offset"] == "3"  # and is refused
    assert patch(app, path, 3, b"4567890").status == 204


def test_creation_with_the_first_bytes(app: App, root: Path) -> None:
    answer = tus(app, "POST", "/", b"123", Upload_Length=3, Content_Type=CHUNK)
    assert (answer.status, answer.headers["upload-offset"]) == (201, "3")
    assert answer.headers["content-location"] == "/upload"
    answer = tus(app, "POST", "/", b"", Upload_Length=0, Upload_Metadata=f"filename {text('empty')}")
    assert (root / "empty").read_bytes() == b""
    assert tus(app, "POST", "/", b"1234", Upload_Length=3, Content_Type=CHUNK).status == 413
    assert {"upload", "empty"} == {name for name in names(root) if PARTIALS not in name}


def test_giving_up(app: App, root: Path) -> None:
    path = create(app, 10)
    patch(app, path, 0, b"123")
    assert tus(app, "DELETE", path).status == 204
    assert [tus(app, method, path).status for method in ("HEAD", "DELETE")] == [404, 404]
    assert names(root) == set()
    path = create(app, 1)
    patch(app, path, 0, b"1")
    assert tus(app, "DELETE", path).status == 204  # of what is complete, only the upload's address goes
    assert names(root) == {"sub/b.bin"}


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_checksums(app: App, root: Path, algorithm: str) -> None:
    path = create(app, 6)

    def checksum(of: bytes) -> str:
        return f"{algorithm} {b64encode(new_hash(algorithm, of).digest()).decode()}"

    assert patch(app, path, 0, b"123", Upload_Checksum=checksum(b"123")).status == 204
    assert patch(app, path, 3, b"45x", Upload_Checksum=checksum(b"456")).status == 460
    assert tus(app, "HEAD", path).headers["upload-offset"] == "3"
    assert patch(app, path, 3, b"456", Upload_Checksum=checksum(b"456")).status == 204
    assert (root / "sub" / "b.bin").read_bytes() == b"123456"


@pytest.mark.parametrize("checksum", ["crc32 AAAA", "sha256", "sha256 AAAA", "sha256 ?", ""])
def test_checksums_that_are_none(app: App, checksum: str) -> None:
    assert patch(app, create(app, 6), 0, b"123", Upload_Checksum=checksum).status == 400


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 400),
        ({"Upload_Length": "x"}, 400),
        ({"Upload_Length": "-1"}, 400),
        ({"Upload_Length": "11"}, 413),
        ({"Upload_Defer_Length": "1"}, 400),
        ({"Upload_Length": "1", "Tus_Resumable": "0.2.2"}, 412),
        ({"Upload_Length": "1", "Upload_Metadata": "filename ?"}, 400),
        ({"Upload_Length": "1", "Upload_Metadata": "filename /w=="}, 400),
        ({"Upload_Length": "1", "Sec_Fetch_Site": "cross-site"}, 403),
        ({"Upload_Length": "10", "Upload_Metadata": ""}, 201),
    ],
)
def test_what_creates_an_upload(root: Path, fields: dict[str, str], status: int) -> None:
    assert tus(app_of(root, limits=UploadLimits(file_bytes=10)), "POST", "/", **fields).status == status


def test_what_cannot_be_asked_of_an_upload(app: App) -> None:
    path = create(app, 10)
    assert tus(app, "PATCH", path, b"x", Upload_Offset=0, Content_Type="text/plain").status == 415
    assert tus(app, "PATCH", path, b"x", Content_Type=CHUNK).status == 400
    assert patch(app, path, 0, b"12345678901").status == 413
    assert patch(app, path, 0, b"1", Content_Length=11).status == 413
    assert tus(app, "GET", path).status == 405
    assert ask(app, "HEAD", path).status == 412
    assert ask(app, "OPTIONS", path).headers["tus-extension"].startswith("creation,")
    assert patch(app, path, 0, b"x", Sec_Fetch_Site="cross-site").status == 403
    assert tus(app, "HEAD", path.replace(path[-32:], "0" * 32)).status == 404


def test_a_method_in_a_field(app: App) -> None:
    path = create(app, 3)
    answer = tus(app, "POST", path, b"123", X_HTTP_Method_Override="PATCH", Upload_Offset=0, Content_Type=CHUNK)
    assert (answer.status, answer.headers["upload-offset"]) == (204, "3")


@pytest.mark.parametrize(
    ("name", "path", "saved"),
    [
        ("a\x00b", "", "a_b"),
        ("a\x1b[31m", "", "a_[31m"),
        ("c.txt", "photos/2024/c.txt", "photos/2024/c.txt"),
        ("c.txt", "../../../c.txt", "c.txt"),
        ("c.txt", "/etc/c.txt", "etc/c.txt"),
        ("c.txt", ".git/hooks/c.txt", "git/hooks/c.txt"),
        ("c.txt", "a\\..\\b/c.txt", "b/c.txt"),
        ("c.txt", "CON/nul", "_CON/_nul"),
        ("c.txt", "SUB/c.txt", "sub/c.txt"),
        ("c.txt", "caf\u0065\u0301/c.txt", "caf\u00e9/c.txt"),
        ("c.txt", "null", "c.txt"),
        ("", "", "upload"),
    ],
)
def test_names(app: App, root: Path, name: str, path: str, saved: str) -> None:
    metadata = f"filename {text(name)},relativePath {text(path)}"
    answer = tus(app, "POST", "/", b"1", Upload_Length=1, Upload_Metadata=metadata, Content_Type=CHUNK)
    assert answer.status == 201
    assert {each for each in names(root) if PARTIALS not in each} == {saved}


def test_folders_that_cannot_be(app: App, root: Path) -> None:
    (root / "file").write_text("no folder")
    (root / "link").symlink_to(root.parent)
    for path, status in (("file/c.txt", 409), ("link/c.txt", 409), ("a/" * 40 + "c.txt", 400)):
        metadata = f"filename {text('c.txt')},relativePath {text(path)}"
        assert tus(app, "POST", "/", Upload_Length=1, Upload_Metadata=metadata).status == status
    assert tus(app, "POST", "/missing/", Upload_Length=1).status == 404


def test_a_second_one_for_the_same_name(app: App, root: Path) -> None:
    first, second = create(app, 1), create(app, 1)
    assert patch(app, second, 0, b"2").headers["content-location"] == "/sub/b.bin"
    assert patch(app, first, 0, b"1").headers["content-location"] == "/sub/b-1.bin"
    overwriting = app_of(root, overwrite=True)
    patch(overwriting, create(overwriting, 1), 0, b"3")
    assert (root / "sub" / "b.bin").read_text() == "3"


def test_two_connections_for_one_upload(app: App, root: Path) -> None:
    path = create(app, 10)
    held = Store(root).go_on(path[-32:])
    assert [patch(app, path, 0, b"x").status, tus(app, "DELETE", path).status] == [423, 423]
    assert tus(app, "HEAD", path).status == 200
    held.close()
    assert patch(app, path, 0, b"x").status == 204


def test_what_was_complete_when_the_server_ended(app: App, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = create(app, 3)

    def die(*arguments: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(Store, "commit", die)
        with pytest.raises(SystemExit):
            patch(app, path, 0, b"123")
    assert tus(app, "HEAD", path).headers["content-location"] == "/sub/b.bin"
    assert (root / "sub" / "b.bin").read_bytes() == b"123"


def test_what_can_never_have_its_name_is_given_up(app: App, root: Path) -> None:
    path = create(app, 3)
    (root / "sub").rmdir()
    (root / "sub").write_text("a file")
    assert patch(app, path, 0, b"123").status == 409
    assert tus(app, "HEAD", path).status == 404
    assert names(root) == {"sub"}


def test_what_is_over_while_another_connection_waits_to_go_on(
    app: App, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = create(app, 3)
    real = upload_store._lock

    def lock(fd: int) -> bool:
        monkeypatch.undo()
        assert patch(app, path, 0, b"123").status == 204
        return real(fd)

    monkeypatch.setattr(upload_store, "_lock", lock)
    assert patch(app, path, 0, b"xyz").status == 404
    assert (root / "sub" / "b.bin").read_bytes() == b"123"
    assert tus(app, "HEAD", path).headers["upload-offset"] == "3"


def test_no_more_are_begun_than_may_be(root: Path) -> None:
    app = app_of(root, limits=UploadLimits(unfinished=2))
    first, _ = create(app, 1), create(app, 1)
    answer = tus(app, "POST", "/", Upload_Length=1)
    assert (answer.status, answer.headers["retry-after"]) == (503, "60")
    assert patch(app, first, 0, b"1").status == 204
    assert tus(app, "POST", "/", Upload_Length=1).status == 201


def test_what_a_crash_has_left_half_written(app: App, root: Path) -> None:
    path = create(app, 3)
    (root / PARTIALS / f"{path[-32:]}.json").write_bytes(b"")
    assert [tus(app, "HEAD", path).status, patch(app, path, 0, b"123").status] == [404, 404]


def test_stale_ones_are_thrown_away(root: Path) -> None:
    app = app_of(root, limits=UploadLimits(keep=1000))
    paths = [create(app, 10) for _ in range(4)]
    stale, fresh, locked, grown = (path[-32:] for path in paths)
    partials = root / PARTIALS
    (partials / ("a" * 32)).write_text("left by a crash")
    (partials / ("b" * 32)).write_text("just begun")
    old = time() - 2000
    for name in (stale, f"{stale}.json", locked, f"{locked}.json", f"{grown}.json", "a" * 32):
        os.utime(partials / name, (old, old))
    held = Store(root).go_on(locked)
    Store(root, UploadLimits(keep=1000)).sweep()
    held.close()
    left = {name.partition(".")[0] for name in os.listdir(partials)}
    assert left == {fresh, locked, grown, "b" * 32}
    with pytest.raises(FileNotFoundError):
        Store(root).go_on(stale)


def test_a_partial_file_cannot_be_asked_for(app: App, root: Path) -> None:
    path = create(app, 10)
    for each in (f"/{PARTIALS}/{path[-32:]}", f"/{PARTIALS}/", f"/{PARTIALS}/{path[-32:]}.json"):
        assert ask(app, "GET", each).status == 404


def test_the_store_by_itself(root: Path) -> None:
    store = Store(root, UploadLimits(file_bytes=3))
    partial = store.begin()
    partial.write(b"12")
    with pytest.raises(HTTPError, match="413"):
        partial.write(b"34")
    partial.cut(1)
    partial.write(b"x")
    assert store.commit(partial, ["new"], "c.txt").folders == ("new",)
    partial.close()
    assert (root / "new" / "c.txt").read_bytes() == b"1x"


def test_mounted(root: Path) -> None:
    app = App()
    app.mount("/in box", app_of(root))
    answer = tus(app, "POST", "/in%20box/sub/", Upload_Length=1, Upload_Metadata=f"filename {text('b c.bin')}")
    location = answer.headers["location"]
    assert location.startswith("/in%20box/sub/.uploads/")
    assert patch(app, location, 0, b"x").headers["content-location"] == "/in%20box/sub/b%20c.bin"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40), st.text(st.characters() | st.sampled_from("/\\.:~"), max_size=40))
def test_whatever_a_file_is_called_it_comes_to_be_in_the_root(name: str, path: str) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder) / "site"
        root.mkdir()
        (root / "taken").write_text("taken")
        encoded = [b64encode(each.encode("utf-8", "replace")).decode() for each in (name, path)]
        metadata = "filename {},relativePath {}".format(*encoded)
        app = app_of(root, limits=UploadLimits(free_bytes=0))
        answer = tus(app, "POST", "/", b"1", Upload_Length=1, Upload_Metadata=metadata, Content_Type=CHUNK)
        made = {each for each in names(root) if not each.startswith(PARTIALS)} - {"taken"}
        assert os.listdir(folder) == ["site"]
        assert (root / "taken").read_text() == "taken"
        assert len(made) == (1 if answer.status == 201 else 0)
        assert answer.status == 201 or "folders" in said(answer)["detail"] or "folder" in said(answer)["detail"]
        assert not any(part.startswith(".") for each in made for part in each.split("/"))
