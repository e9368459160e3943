"""Which representation is sent, what is said of it, and what is remembered."""

from __future__ import annotations

import contextlib
import gc
import gzip
import os
from collections.abc import Callable
from pathlib import Path
from time import time

import brotli
import pytest

from firstbyte import App, Limits, Request, Response
from firstbyte.errors import ConfigurationError, HTTPError
from firstbyte.files import known, representations
from firstbyte.files.compression import acceptable
from firstbyte.files.policy import CacheRule, parse_header, parse_type
from firstbyte.files.static import StaticFiles
from firstbyte.http.request import Ends
from firstbyte.http.response import FileBody
from firstbyte.wire.head import HeadScanner

TEXT = "to be compressed\n" * 500
SCANNER = HeadScanner(Limits())


def as_sent(path: str, **fields: str) -> Request:
    """A request as the wire floor makes it, with its head."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: x",
        *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items()),
    ]
    scanned = SCANNER.scan("\r\n".join([*lines, "", ""]).encode(), 0)
    assert scanned is not None
    return scanned.request(Ends())


def get(site: StaticFiles, path: str, **fields: str) -> Response:
    return site.answer(as_sent(path, **fields))


def body_of(response: Response) -> bytes:
    if isinstance(response.body, FileBody):
        data = response.body.read(1 << 24)
        response.close()
        return data
    assert isinstance(response.body, bytes)
    return response.body


def descriptors(root: Path) -> int:
    """How many files below `root` are open; not all that are open, since other tests may have left threads."""
    gc.collect()
    count = 0
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it has been closed
            count += Path(os.readlink(each)).is_relative_to(root)
    return count


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "a.png").write_bytes(bytes(5000))
    (tmp_path / "app.js").write_text(TEXT)
    for suffix, data in {".br": brotli.compress(TEXT.encode()), ".gz": gzip.compress(TEXT.encode())}.items():
        (tmp_path / f"app.js{suffix}").write_bytes(data)
    return tmp_path


@pytest.fixture
def site(root: Path) -> StaticFiles:
    return StaticFiles(root)


@pytest.mark.parametrize(
    ("field", "codings"),
    [
        ("", ()),
        ("gzip", ("gzip",)),
        ("gzip, deflate, br, zstd", ("br", "zstd", "gzip")),
        ("gzip;q=1, br;q=0.5", ("gzip", "br")),
        ("*", ("br", "zstd", "gzip")),
        ("*;q=0, gzip", ("gzip",)),
        ("br;q=0, *", ("zstd", "gzip")),
        ("gzip;q=0.5, identity", ()),
        ("identity;q=0, gzip;q=0.1", ("gzip",)),
        ("GZIP", ("gzip",)),
        ("gzip;q=nonsense", ()),
    ],
)
def test_the_codings_that_a_client_likes(field: str, codings: tuple[str, ...]) -> None:
    assert acceptable(field) == codings


@pytest.mark.parametrize(
    ("accepts", "coding", "decode"),
    [
        ("br, gzip", "br", brotli.decompress),
        ("gzip", "gzip", gzip.decompress),
        ("gzip;q=1, br;q=0.1", "gzip", gzip.decompress),
        ("deflate", None, bytes),
        (None, None, bytes),
    ],
)
@pytest.mark.parametrize("path", ["/app.js", "/a.txt"], ids=["sibling", "on the fly"])
def test_codings(
    site: StaticFiles, path: str, accepts: str | None, coding: str | None, decode: Callable[[bytes], bytes]
) -> None:
    fields = {} if accepts is None else {"Accept_Encoding": accepts}
    for _ in range(2):  # the second is from memory
        response = get(site, path, **fields)
        assert (response.headers.get("content-encoding"), response.headers["vary"]) == (coding, "Accept-Encoding")
        assert decode(body_of(response)).decode() == TEXT
    again = get(site, path, If_None_Match=response.headers["etag"], **fields)
    assert (again.status, again.headers["vary"], again.body) == (304, "Accept-Encoding", b"")


def test_each_coding_has_a_tag_of_its_own(site: StaticFiles) -> None:
    for path in ("/app.js", "/a.txt"):
        tags = {get(site, path, Accept_Encoding=coding).headers["etag"] for coding in ("br", "gzip", "identity")}
        assert len(tags) == 3
        assert get(site, path, Accept_Encoding="gzip", If_None_Match=min(tags - {min(tags)})).status in (200, 304)


def test_ranges_are_of_the_file_or_of_its_sibling(site: StaticFiles, root: Path) -> None:
    plain = get(site, "/a.txt", Range="bytes=0-4", Accept_Encoding="gzip")
    assert (plain.status, plain.body, plain.headers.get("content-encoding")) == (206, b"to be", None)
    coded = get(site, "/app.js", Range="bytes=0-4", Accept_Encoding="br")
    assert (coded.status, coded.headers["content-encoding"]) == (206, "br")
    assert coded.body == (root / "app.js.br").read_bytes()[:5]


def test_what_has_one_representation_varies_by_nothing(site: StaticFiles, root: Path) -> None:
    (root / "short.txt").write_text("short")
    for path in ("/a.png", "/short.txt"):
        response = get(site, path, Accept_Encoding="gzip")
        assert (response.headers.get("vary"), response.headers.get("content-encoding")) == (None, None)
    off = get(StaticFiles(root, compress=False), "/app.js", Accept_Encoding="br")
    assert (off.headers.get("vary"), off.headers.get("content-encoding"), off.body) == (None, None, TEXT.encode())


def test_a_sibling_that_is_older_than_its_file_is_not_sent(site: StaticFiles, root: Path) -> None:
    before = time() - 100
    os.utime(root / "app.js.br", (before, before))
    response = get(site, "/app.js", Accept_Encoding="br")
    assert brotli.decompress(body_of(response)).decode() == TEXT
    assert response.headers["etag"].startswith("W/")  # made here


def test_a_sibling_has_the_type_of_its_file_and_its_own_at_its_own_address(site: StaticFiles) -> None:
    assert get(site, "/app.js", Accept_Encoding="br").headers["content-type"].startswith("text/javascript")
    for _ in range(2):
        own = get(site, "/app.js.br", Accept_Encoding="br")
        assert (own.headers["content-type"], own.headers.get("content-encoding")) == ("application/octet-stream", None)


def test_a_text_that_is_being_compressed_is_sent_as_it_is(
    site: StaticFiles, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner: list[Response] = []

    def compress(data: bytes, coding: str) -> bytes:
        inner.append(get(site, "/a.txt", Accept_Encoding="gzip"))
        return b"short"

    monkeypatch.setattr(representations, "compress", compress)
    assert get(site, "/a.txt", Accept_Encoding="gzip").body == b"short"
    assert [response.body for response in inner] == [TEXT.encode()]


# -- what is remembered


@pytest.mark.parametrize("size", [0, 1, 5000, 200_000])
def test_a_change_is_seen_at_once(site: StaticFiles, root: Path, size: int) -> None:
    path = root / "b.bin"
    for content in (b"a" * size, b"b" * size, b"c" * (size + 1)):
        new = root / "new"
        new.write_bytes(content)
        os.utime(new, (1_000_000_000, 1_000_000_000))  # as if nothing had happened
        new.replace(path)
        for _ in range(3):
            assert body_of(get(site, "/b.bin")) == content
    path.unlink()
    with pytest.raises(HTTPError, match="404"):
        get(site, "/b.bin")


def test_a_link_that_leads_elsewhere_is_seen_at_once(
    site: StaticFiles, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "a.txt"
    outside.write_text("SECRET")
    for release in ("one", "two"):
        (root / release).mkdir()
        (root / release / "a.txt").write_text(release)
    link = root / "current"
    for target, expected in [("one", b"one"), ("two", b"two"), (str(outside.parent), None), ("one", b"one")]:
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        for _ in range(2):
            if expected is None:
                with pytest.raises(HTTPError):
                    get(site, "/current/a.txt")
            else:
                assert get(site, "/current/a.txt").body == expected


def test_what_is_better_is_seen_after_a_while(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(known, "monotonic", lambda: now[0])
    site = StaticFiles(root)
    first = get(site, "/a.txt", Accept_Encoding="br")
    (root / "a.txt.br").write_bytes(brotli.compress(b"better"))
    assert get(site, "/a.txt", Accept_Encoding="br").body == first.body
    now[0] += known.LOOK_AGAIN + 0.1
    assert get(site, "/a.txt", Accept_Encoding="br").body == brotli.compress(b"better")


def test_an_answer_that_is_remembered_can_be_changed_without_harm(site: StaticFiles) -> None:
    get(site, "/a.txt")
    changed = get(site, "/a.txt")
    changed.headers["X-Extra"] = "yes"
    changed.headers["Content-Type"] = "text/html"
    later = get(site, "/a.txt")
    assert "x-extra" not in later.headers
    assert later.headers["content-type"] == later.content_type == "text/plain; charset=utf-8"


def test_the_fields_that_a_middleware_has_changed_count(site: StaticFiles) -> None:
    assert get(site, "/a.txt", Accept_Encoding="gzip").headers["content-encoding"] == "gzip"
    request = as_sent("/a.txt", Accept_Encoding="gzip")
    del request.headers["Accept-Encoding"]
    assert site.answer(request).body == TEXT.encode()


def test_a_folder_at_two_places(root: Path) -> None:
    (root / "one").mkdir()
    (root / "one" / "a.txt").write_text("below")
    site = StaticFiles(root)
    whole, part = App(), App()
    whole.mount("/", site)
    part.mount("/one", site)
    for app, expected in [(whole, b"below"), (part, TEXT.encode()), (whole, b"below"), (part, TEXT.encode())]:
        request = as_sent("/one/a.txt")
        assert app.resolve(request).call(request).body == expected


def test_the_memory_is_bounded(root: Path) -> None:
    site = StaticFiles(root, memory=50_000, open_files=2)
    memory = site._representations._memory
    for number in range(20):
        (root / f"{number}.bin").write_bytes(bytes([number]) * 9000)
        (root / f"{number}.large").write_bytes(bytes([number]) * 100_000)
    before = descriptors(root)
    for _ in range(2):
        for number in range(20):
            assert get(site, f"/{number}.bin").body == bytes([number]) * 9000
            assert body_of(get(site, f"/{number}.large")) == bytes([number]) * 100_000
            assert memory.size <= 50_000
    assert descriptors(root) == before + 2
    site._representations.open_files.close()
    assert descriptors(root) == before


def test_an_open_file_is_shared_and_closed_when_the_last_answer_is_sent(root: Path) -> None:
    (root / "large").write_bytes(bytes(range(256)) * 1000)
    site = StaticFiles(root, open_files=1)
    before = descriptors(root)
    one, two = (get(site, "/large", Range=f"bytes={start}-") for start in (0, 100_000))
    assert isinstance(one.body, FileBody)
    assert isinstance(two.body, FileBody)
    assert one.body.file.fileno() == two.body.file.fileno()
    first = one.body.read(3) + two.body.read(3) + one.body.read(3)
    assert first == bytes([0, 1, 2, 160, 161, 162, 3, 4, 5])
    (root / "other").write_bytes(bytes(100_000))
    get(site, "/other").close()  # which takes its place
    assert one.body.read(1) == bytes([6])
    one.close()
    one.close()
    assert two.body.read(1) == bytes([163])
    two.close()
    assert descriptors(root) == before + 1


def test_a_file_that_changes_all_the_time(site: StaticFiles, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = representations.open_file

    def open_file(path: str | Path) -> object:
        with (root / "log.txt").open("a") as log:
            log.write("more\n")
        return real(path)

    (root / "log.txt").write_text("")
    monkeypatch.setattr(representations, "open_file", open_file)
    with pytest.raises(HTTPError, match="503"):
        get(site, "/log.txt")


# -- what is said of a file


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("*.js=1y,immutable", "max-age=31536000, immutable"),
        ("*=60", "max-age=60"),
        ("*=no-cache", "no-cache"),
        ("*=public, s-maxage=1d, stale-while-revalidate=90s", "public, s-maxage=86400, stale-while-revalidate=90"),
        ("*=0,Must-Revalidate", "max-age=0, must-revalidate"),
        ("*=2w", "max-age=1209600"),
    ],
)
def test_rules_for_caches(rule: str, value: str) -> None:
    assert CacheRule.parse(rule).value == value


@pytest.mark.parametrize("rule", ["*.js", "=1y", "*=", "*=1q", "*=imutable", "*=max-age=soon", "*=immutable=1"])
def test_what_is_no_rule_for_caches(rule: str) -> None:
    with pytest.raises(ConfigurationError):
        CacheRule.parse(rule)


def test_the_first_rule_that_matches_holds(root: Path) -> None:
    (root / "assets").mkdir()
    for name in ("assets/app.js", "assets/a.css", "b.css"):
        (root / name).write_text("x")
    site = StaticFiles(root, cache=["*.js=1y,immutable", "assets/*=1d", "/b.css=1h"])
    said = {
        "/assets/app.js": "max-age=31536000, immutable",
        "/assets/a.css": "max-age=86400",
        "/b.css": "max-age=3600",
        "/a.png": None,
    }
    assert {path: get(site, path).headers.get("cache-control") for path in said} == said


def test_fields_and_types_of_ones_own(root: Path) -> None:
    (root / "a.xyz").write_text("x")
    headers = [parse_header("X-Frame-Options: DENY"), ("Vary", "Origin")]
    site = StaticFiles(root, headers=headers, types=dict([parse_type(".xyz=text/x-xyz")]), charset="iso-8859-1")
    own, text = get(site, "/a.xyz").headers, get(site, "/a.txt").headers
    assert (own["x-frame-options"], own["content-type"]) == ("DENY", "text/x-xyz; charset=iso-8859-1")
    assert (text["content-type"], text["vary"]) == ("text/plain; charset=iso-8859-1", "Origin, Accept-Encoding")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/plain; charset=koi8-r", "text/plain; charset=koi8-r"),
        ("application/x-own", "application/x-own"),
    ],
)
def test_a_type_for_files_whose_ending_says_none(root: Path, given: str, sent: str) -> None:
    for name in ("README", "a.unheard-of", "a.png"):
        (root / name).write_text("x")
    site = StaticFiles(root, default_type=given)
    assert [get(site, path).headers["content-type"] for path in ("/README", "/a.unheard-of", "/a.png")] == [
        sent,
        sent,
        "image/png",
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"Content-Length": "1"}},
        {"headers": {"X Y": "1"}},
        {"headers": {"X": "a\r\nb"}},
        {"types": {".x": "nonsense"}},
        {"default_type": "nonsense"},
        {"cache": ["x"]},
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(root: Path, options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        StaticFiles(root, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["X", "X y: z", "X: a\nb", ".x"])
def test_what_is_no_field_or_type(text: str) -> None:
    for parse in (parse_header, parse_type):
        with pytest.raises(ConfigurationError):
            parse(text)
