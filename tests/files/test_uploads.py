"""Uploads to a folder, without a server: forms and PUT, names, limits, other sites."""

from __future__ import annotations

import errno
import os
import re
import threading
from base64 import b64encode
from hashlib import sha256, sha512
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.support import ask
from files.support import app_of, names, said
from firstbyte import App, Response
from firstbyte.client.bodies import encode_multipart
from firstbyte.errors import ConfigurationError
from firstbyte.files import upload_store
from firstbyte.files.static import StaticFiles
from firstbyte.files.upload_store import PARTIALS, UploadLimits
from firstbyte.files.uploads import Uploads


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("old")
    return root


@pytest.fixture
def app(root: Path) -> App:
    return app_of(root)


def post(app: App, path: str, *files: tuple[str, bytes], **fields: str) -> Response:
    body = encode_multipart([("files", file) for file in files], {"note": "a field"})
    return ask(app, "POST", path, body.data, Content_Type=body.content_type, **fields)  # type: ignore[arg-type]


# -- PUT


def test_put(app: App, root: Path) -> None:
    answer = ask(app, "PUT", "/sub/caf%C3%A9.bin", b"\0\xff", Content_Type="text/html; charset=none")
    assert (answer.status, answer.headers["location"]) == (201, "caf%C3%A9.bin")
    assert said(answer) == {"name": "café.bin", "bytes": 2, "url": "/sub/caf%C3%A9.bin"}
    assert (root / "sub" / "café.bin").read_bytes() == b"\0\xff"
    assert ask(app, "HEAD", "/sub/caf%C3%A9.bin").headers["etag"] == answer.headers["etag"]
    assert names(root) == {"a.txt", "sub/café.bin"}


def test_put_makes_the_folders(app: App, root: Path) -> None:
    assert ask(app, "PUT", "/new/er/b.txt", b"new").status == 201
    assert (root / "new" / "er" / "b.txt").read_text() == "new"


def test_put_overwrites_nothing(app: App, root: Path) -> None:
    for path in ("/a.txt", "/A.TXT", "/sub"):
        answer = ask(app, "PUT", path, b"new")
        assert answer.status == 409, path
        assert "is there already" in said(answer)["detail"]
    assert (root / "a.txt").read_text() == "old"
    assert names(root) == {"a.txt"}


def test_put_overwrites_where_it_may(root: Path) -> None:
    app = app_of(root, overwrite=True)
    answer = ask(app, "PUT", "/a.txt", b"new")
    assert (answer.status, (root / "a.txt").read_text()) == (200, "new")
    assert ask(app, "PUT", "/sub", b"new").status == 409  # a folder is no file
    (root / "link").symlink_to(root / "a.txt")
    assert ask(app, "PUT", "/link", b"linked").status == 200
    assert (root / "a.txt").read_text() == "new"  # what had the name was the link
    assert names(root) == {"a.txt", "link"}


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/a.txt", {"If_None_Match": "*"}, 412),
        ("/b.txt", {"If_None_Match": "*"}, 201),
        ("/a.txt", {"If_Match": '"another"'}, 412),
        ("/b.txt", {"If_Match": "*"}, 412),
        ("/a.txt", {"If_Match": "*"}, 200),
        ("/a.txt", {"If_Unmodified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 412),
    ],
)
def test_conditions_of_put(root: Path, path: str, fields: dict[str, str], status: int) -> None:
    assert ask(app_of(root, overwrite=True), "PUT", path, b"new", **fields).status == status


def test_a_condition_holds_when_the_name_is_given(app: App, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def meanwhile(fd: int) -> None:
        (root / "b.txt").write_text("of another")
        real(fd)

    monkeypatch.setattr(os, "fsync", meanwhile)
    assert ask(app, "PUT", "/b.txt", b"mine", If_None_Match="*").status == 412
    assert (root / "b.txt").read_text() == "of another"


@pytest.mark.parametrize(
    ("fields", "status", "why"),
    [
        ({"Content_Range": "bytes 0-2/3"}, 400, "a part of a file"),
        ({"Content_Encoding": "gzip"}, 415, "Content-Encoding"),
        ({"Content_Encoding": "identity"}, 201, ""),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 201, ""),
        ({"Content_Type": "no type at all"}, 201, ""),
        ({"Content_Digest": "sha-256=:AAAA:"}, 400, "no base64 of 32 bytes"),
        ({"Content_Digest": "sha-256"}, 400, "malformed"),
        ({"Content_Digest": "crc32c=:AAAA:, unixsum=:AA==:"}, 201, ""),
        ({"Repr_Digest": f"sha-256=:{b64encode(sha256(b'another').digest()).decode()}:"}, 400, "does not match"),
        (
            {
                "Repr_Digest": f"sha-256=:{b64encode(sha256(b'new').digest()).decode()}:, "
                f"sha-512=:{b64encode(sha512(b'new').digest()).decode()}:"
            },
            201,
            "",
        ),
    ],
)
def test_fields_of_put(app: App, root: Path, fields: dict[str, str], status: int, why: str) -> None:
    answer = ask(app, "PUT", "/b.txt", b"new", **fields)
    assert answer.status == status
    assert why in said(answer).get("detail", "")
    assert names(root) == ({"a.txt", "b.txt"} if status == 201 else {"a.txt"})


# -- forms


def test_a_form(app: App, root: Path) -> None:
    answer = post(app, "/", ("a.txt", b"1"), ("a.txt", b"2"), ("b.txt", b""))
    assert answer.status == 201
    assert [each["name"] for each in said(answer)["saved"]] == ["a-1.txt", "a-2.txt", "b.txt"]
    assert (root / "a.txt").read_text() == "old"
    assert names(root) == {"a.txt", "a-1.txt", "a-2.txt", "b.txt"}


def test_a_file_input_that_was_left_empty(app: App, root: Path) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\n\r\n'
    answer = ask(app, "POST", "/", part + b"--x--\r\n", Content_Type="multipart/form-data; boundary=x")
    assert (answer.status, names(root)) == (400, {"a.txt"})


def test_a_browser_goes_back_to_the_folder(app: App) -> None:
    answer = post(app, "/sub/", ("a.txt", b"1"), Accept="text/html")
    assert (answer.status, answer.headers["location"]) == (303, "./")


def test_a_form_that_breaks_leaves_nothing(app: App, root: Path) -> None:
    body = encode_multipart([("f", ("b.txt", b"whole")), ("f", ("c.txt", b"cut"))], {})
    assert isinstance(body.data, bytes)
    answer = ask(app, "POST", "/", body.data[:-20], Content_Type=body.content_type)
    assert answer.status == 400
    assert names(root) == {"a.txt"}


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/", "application/x-www-form-urlencoded", 415),
        ("/", "text/plain", 415),
        ("/missing/", "multipart/form-data; boundary=x", 404),
        ("/sub", "multipart/form-data; boundary=x", 404),
        ("/a.txt/", "multipart/form-data; boundary=x", 409),
    ],
)
def test_what_is_no_form_or_no_folder(app: App, path: str, kind: str, status: int) -> None:
    assert ask(app, "POST", path, b"a=b", Content_Type=kind).status == status


def test_a_form_without_files(app: App) -> None:
    assert post(app, "/").status == 400


# -- names


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\fakepath\\a.png", "a.png"),
        (".htaccess", "htaccess"),
        ("..", "upload"),
        ("...", "upload"),
        ("/", "upload"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("COM1.tar.gz", "_COM1.tar.gz"),
        ("a:stream.txt", "a_stream.txt"),
        ("gpj\u202eexe", "gpj_exe"),
        ("a. . .", "a"),
        ("A.txt", "A-1.txt"),
        ("a.TXT", "a-1.TXT"),
        ("cafe\u0301.txt", "caf\u00e9.txt"),
        ("x" * 300 + ".jpg", "x" * 196 + ".jpg"),
        ("\u2603" * 100, "\u2603" * 66),
        (PARTIALS, PARTIALS[1:]),
        ("<script>.html", "_script_.html"),
        ("  spaces  ", "spaces"),
        ("\u65e5\u672c\u8a9e.txt", "\u65e5\u672c\u8a9e.txt"),
    ],
)
def test_names_of_forms_are_made_safe(app: App, root: Path, given: str, safe: str) -> None:
    answer = post(app, "/", (given, b"new"))
    assert [each["name"] for each in said(answer)["saved"]] == [safe]
    assert names(root) == {"a.txt", safe}


@pytest.mark.parametrize(
    "path",
    [
        "/..",
        "/../out.txt",
        "/%2e%2e/out.txt",
        "/sub/../../out.txt",
        "/sub/%2e%2e/%2e%2e/out.txt",
        "/sub/..%2f..%2fout.txt",
        "/%2Fetc%2Fout.txt",
        "/..%5cout.txt",
        "/sub\\..\\..\\out.txt",
        "//out.txt",
        "/sub//out.txt",
        "/./out.txt",
        "/.hidden",
        "/.ssh/out.txt",
        f"/{PARTIALS}/out.txt",
        "/%c0%ae%c0%ae/out.txt",
        "/out%00.txt",
        "/out.txt%00",
        "/CON",
        "/sub/aux.txt",
        "/lpt1/out.txt",
        "/out.txt:stream",
        "/out.txt.",
        "/out.txt%20",
        "/out%0a.txt",
        "/" + "x" * 201,
        "/" + "x" * 300 + "/out.txt",
        "/x" * 40,
        "/a.txt/out.txt",
        "/link/out.txt",
        "/inner/out.txt",
        "/loop/out.txt",
        "/link.txt/",
        "/%zz",
        "/%ff",
    ],
)
def test_put_refuses_what_is_not_safe(app: App, root: Path, path: str) -> None:
    (root / "link").symlink_to(root.parent)
    (root / "inner").symlink_to(root / "sub")
    (root / "loop").symlink_to("loop")
    before = names(root.parent)
    answer = ask(app, "PUT", path, b"new")
    assert answer.status in (400, 403, 404, 405, 409), (path, answer.status)
    assert names(root.parent) == before


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from([*"/.\\:~ %aA", "..", "%2e", "%2F", "%5c", "%00", "%c0%ae", "sub", "link"]), max_size=12)
)
def test_no_path_of_put_leaves_the_root(parts: list[str]) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder) / "site"
        (root / "sub").mkdir(parents=True)
        (root / "link").symlink_to(folder)
        answer = ask(app_of(root, limits=UploadLimits(free_bytes=0)), "PUT", "/" + "".join(parts), b"new")
        assert os.listdir(folder) == ["site"]
        made = names(root) - {"link"}
        assert len(made) == (answer.status == 201)
        assert not any(part.startswith(".") for each in made for part in each.split("/"))


def test_put_refuses_a_link_that_hangs(app: App, root: Path) -> None:
    (root / "hangs").symlink_to(root.parent / "created.txt")
    assert ask(app, "PUT", "/hangs", b"new").status == 409
    assert not (root.parent / "created.txt").exists()


def test_a_folder_that_is_there_may_have_any_name(app: App, root: Path) -> None:
    (root / "what?").mkdir()
    assert ask(app, "PUT", "/what%3F/b.txt", b"new").status == 201
    assert ask(app, "PUT", "/when%3F/b.txt", b"new").status == 400
    assert ask(app, "PUT", "/SUB/b.txt", b"new").status == 201  # the folder in other letters
    assert names(root) == {"a.txt", "what?/b.txt", "sub/b.txt"}


def test_folders_that_are_closed(root: Path) -> None:
    (root / "cgi-bin").mkdir()
    app = app_of(root, without=[root / "cgi-bin"])
    for path in ("/cgi-bin/a.py", "/CGI-BIN/a.py", "/cgi-bin/below/a.py"):
        assert ask(app, "PUT", path, b"new").status == 403
    assert post(app, "/cgi-bin/", ("a.py", b"new")).status == 403
    assert ask(app, "PUT", "/sub/cgi-bin/a.py", b"new").status == 201
    assert names(root) == {"a.txt", "sub/cgi-bin/a.py"}


def test_many_at_once_under_one_name(app: App, root: Path) -> None:
    statuses: list[int] = []

    def upload(number: int) -> None:
        statuses.append(post(app, "/", ("same.txt", f"number {number}".encode())).status)
        statuses.append(ask(app, "PUT", "/one.txt", f"number {number}".encode()).status)

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] * 13 + [409] * 11
    assert {path.read_text() for path in root.glob("same*")} == {f"number {number}" for number in range(12)}
    assert len(names(root)) == 1 + 12 + 1


def test_servers_that_share_a_folder(root: Path) -> None:
    apps = [app_of(root) for _ in range(2)]
    statuses: list[int] = []

    def upload(number: int) -> None:
        name = "same.txt" if number % 4 < 2 else "SAME.txt"
        statuses.append(post(apps[number % 2], "/", (name, f"number {number}".encode())).status)

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [201] * 12
    assert len({name.casefold() for name in names(root)}) == 1 + 12


# -- limits


def test_the_size_of_a_file(root: Path) -> None:
    app = app_of(root, limits=UploadLimits(file_bytes=10))
    assert ask(app, "PUT", "/b.txt", b"x" * 10).status == 201
    for answer in (
        ask(app, "PUT", "/c.txt", b"x" * 11),
        ask(app, "PUT", "/c.txt", b"x" * 11, Content_Length="11"),
        post(app, "/", ("c.txt", b"x"), ("d.txt", b"x" * 11)),
    ):
        assert answer.status == 413
        assert "10 bytes" in said(answer)["detail"]
    assert names(root) == {"a.txt", "b.txt"}


def test_the_room_that_is_left(root: Path) -> None:
    app = app_of(root, limits=UploadLimits(free_bytes=1 << 60))
    assert ask(app, "PUT", "/b.txt", b"x", Content_Length="1").status == 507
    assert post(app, "/", ("c.txt", b"x")).status == 507
    free = os.statvfs(root).f_bavail * os.statvfs(root).f_frsize
    assert ask(app_of(root), "PUT", "/b.txt", b"x", Content_Length=str(free + 1)).status == 507
    assert names(root) == {"a.txt"}


@pytest.mark.parametrize(
    ("number", "status"), [(errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EFBIG, 507), (errno.EROFS, 403)]
)
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_disk_that_is_full_after_all(
    app: App, root: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: int, call: str
) -> None:
    def full(*arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(upload_store.os, call, full)
    answer = ask(app, "PUT", "/b.txt", b"new")
    monkeypatch.undo()
    assert answer.status == status
    assert names(root) == {"a.txt"}


def test_no_more_at_once_than_may_be(root: Path) -> None:
    uploads = Uploads(root, limits=UploadLimits(at_once=1))
    app = App()
    app.mount("/", uploads)
    with uploads._place():
        answer = ask(app, "PUT", "/b.txt", b"new")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert ask(app, "PUT", "/b.txt", b"new").status == 201


def test_limits_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="file_bytes"):
        UploadLimits(file_bytes=-1)


# -- other file systems


def test_a_folder_on_another_file_system(app: App, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.link

    def link(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int, follow_symlinks: bool) -> None:
        if os.fstat(src_dir_fd).st_ino != os.fstat(dst_dir_fd).st_ino:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(upload_store.os, "link", link)
    body = os.urandom(100_000)
    assert ask(app, "PUT", "/sub/b.bin", body).status == 201
    assert (root / "sub" / "b.bin").read_bytes() == body
    assert post(app, "/sub/", ("b.bin", b"new")).status == 201
    assert names(root) == {"a.txt", "sub/b.bin", "sub/b-1.bin"}


def test_a_file_system_without_hard_links(app: App, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*arguments: object, **options: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(upload_store.os, "link", link)
    assert ask(app, "PUT", "/sub/b.bin", b"new").status == 201
    assert ask(app, "PUT", "/sub/b.bin", b"newer").status == 409
    assert post(app, "/sub/", ("b.bin", b"newest")).status == 201
    assert names(root) == {"a.txt", "sub/b.bin", "sub/b-1.bin"}

    def replace(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(upload_store.os, "replace", replace)
    assert ask(app, "PUT", "/sub/c.bin", b"new").status == 507
    assert names(root) == {"a.txt", "sub/b.bin", "sub/b-1.bin"}  # nor is there an empty one


# -- other sites


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 201),
        ({"Sec_Fetch_Site": "same-origin"}, 201),
        ({"Sec_Fetch_Site": "none"}, 201),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Origin": "http://here:8000"}, 403),
        ({"Origin": "http://here:8000"}, 201),
        ({"Origin": "https://here:8000"}, 201),
        ({"Origin": "http://here"}, 403),
        ({"Origin": "http://here:8001"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://here:8000.evil.example"}, 403),
    ],
)
def test_pages_of_other_sites_may_not_upload(app: App, fields: dict[str, str], status: int) -> None:
    assert ask(app, "PUT", "/b.txt", b"new", Host="here:8000", **fields).status == status
    assert post(app, "/", ("c.txt", b"new"), Host="here:8000", **fields).status == status


# -- what is served


def test_the_listing_has_the_page(app: App) -> None:
    listing = ask(app, "GET", "/", Accept="text/html").body
    page = ask(app, "GET", "/sub/?upload").body
    assert isinstance(listing, bytes)
    assert isinstance(page, bytes)
    for each in (listing, page):
        assert each.count(b'<section id="upload"') == 1
    form = re.search(rb"<form[^>]*>", listing)
    assert form is not None
    assert form[0] == b'<form method="post" action="./" enctype="multipart/form-data">'


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/none/", 404), ("/.git/", 403), ("/a.txt/", 409)])
def test_the_page_is_there_where_uploads_are_taken(app: App, root: Path, path: str, status: int) -> None:
    assert ask(app, "GET", f"{path}?upload").status == status


@pytest.mark.parametrize(
    ("name", "sandboxed"),
    [("page.html", True), ("a.svg", True), ("a.xhtml", True), ("a.atom", True), ("a.png", False), ("a.js", False)],
)
def test_what_may_run_scripts_is_put_in_a_sandbox(app: App, root: Path, name: str, sandboxed: bool) -> None:
    (root / name).write_text("<script>alert(1)</script>")
    answer = ask(app, "GET", f"/{name}")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert ("content-security-policy" in answer.headers) is sandboxed
    assert "content-security-policy" not in ask(app_of(root, trusted=True), "GET", f"/{name}").headers


def test_an_index_that_was_uploaded_is_in_the_sandbox_too(app: App, root: Path) -> None:
    assert ask(app, "PUT", "/sub/index.html", b"<script>").status == 201
    answer = ask(app, "GET", "/sub/")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.body == b"<script>"


def test_what_is_uploaded_is_not_served_in_the_place_of_another(app: App, root: Path) -> None:
    (root / "a.js").write_text("good()")
    assert ask(app, "PUT", "/a.js.gz", b"evil()").status == 201
    answer = ask(app, "GET", "/a.js", **{"Accept-Encoding": "gzip"})
    assert (answer.body, "content-encoding" in answer.headers) == (b"good()", False)


def test_partial_files_are_not_served_even_where_hidden_ones_are(root: Path) -> None:
    app = app_of(root, files=StaticFiles(root, hidden=True, listing=True))
    assert ask(app, "PUT", "/b.txt", b"new").status == 201
    (root / PARTIALS / "left").write_text("partial")
    for path in (f"/{PARTIALS}/left", f"/{PARTIALS}/", f"/{PARTIALS.replace('f', '%66').upper()}/left"):
        assert ask(app, "GET", path).status == 404


def test_options(root: Path) -> None:
    answer = ask(app_of(root, limits=UploadLimits(file_bytes=5)), "OPTIONS", "/")
    assert (answer.status, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST, PUT")
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-max-size"] == "5"
    assert ask(app_of(root), "DELETE", "/a.txt").status == 405


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no folder"):
        Uploads(tmp_path / "missing")
