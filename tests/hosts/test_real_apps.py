"""Sites of real frameworks, each by `firstbyte run`, which finds out itself that they are WSGI."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest

import needs
from firstbyte.client import Session

APPS = Path(__file__).parent / "apps"
WAIT = 60

Start = Callable[..., str]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Serves what a name on the command line says; the address of the server."""
    with ExitStack() as stack:

        def run(name: str, *options: str) -> str:
            command = [sys.executable, "-m", "firstbyte", "run", name, "--port", "0", "--no-access-log", *options]
            process = stack.enter_context(subprocess.Popen(command, cwd=APPS, stderr=subprocess.PIPE, text=True))
            stack.callback(process.terminate)
            assert process.stderr is not None
            said = ""
            for line in process.stderr:
                said += line
                if (found := re.search(r"serves .* on (http://127\.0\.0\.1:\d+)", line)) is not None:
                    # What it says from here on must not fill the pipe.
                    threading.Thread(target=process.stderr.read, daemon=True).start()
                    return found[1]
            raise AssertionError(said)

        yield run


@pytest.fixture
def site(request: pytest.FixtureRequest, start: Start) -> Iterator[Session]:
    """A session with the site of the test's parameter."""
    with Session(base_url=_address(start, request.param), timeout=WAIT) as session:
        yield session


_addresses: dict[str, str] = {}


def _address(start: Start, name: str) -> str:
    if name not in _addresses:
        package = PACKAGES.get(name, name.partition(":")[0])
        needs.package(package)
        _addresses[name] = start(name, *OPTIONS.get(name, ()))
    return _addresses[name]


PACKAGES = {
    "flask_app.py:app": "flask",
    "django_site.py:app": "django",
    "bottle_app.py:app": "bottle",
    "falcon_app.py:app": "falcon",
}
OPTIONS = {"django_site.py:app": ("--limit-body", "64M")}
flask = pytest.mark.parametrize("site", ["flask_app.py:app"], indirect=True)
django = pytest.mark.parametrize("site", ["django_site.py:app"], indirect=True)
bottle = pytest.mark.parametrize("site", ["bottle_app.py:app"], indirect=True)
falcon = pytest.mark.parametrize("site", ["falcon_app.py:app"], indirect=True)
httpbin = pytest.mark.parametrize("site", ["httpbin:app"], indirect=True)


# -- Flask


@flask
def test_flask_routes(site: Session) -> None:
    assert site.get("/").text == "home"
    answer = site.get("/items/42", params={"a": ["1", "2"], "b": "ü"}).json()
    assert (answer["number"], answer["args"]) == (42, {"a": ["1", "2"], "b": ["ü"]})
    assert answer["url"].startswith("http://127.0.0.1:")
    assert site.post("/form", data={"x": "y z"}).json() == {"x": "y z"}
    made = site.post("/json", json={"a": [1]})
    assert (made.status, made.headers["X-Made"], made.json()) == (201, "yes", {"got": {"a": [1]}})
    assert site.get("/none").status == 404
    assert site.post("/").status == 405
    assert site.get("/broken").status == 500
    assert site.get("/gone").status == 410
    head = site.head("/")
    assert (head.status, head.headers["Content-Length"], head.content) == (200, "4", b"")
    assert set(site.options("/form").headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


@flask
def test_flask_sessions(site: Session) -> None:
    assert site.get("/me").text == "nobody"
    assert site.post("/login", data={"user": "anna"}).text == "anna"
    assert site.get("/me").text == "anna"


@flask
@pytest.mark.parametrize("size", [0, 1000, 3_000_000])
def test_flask_uploads(site: Session, size: int) -> None:
    data = os.urandom(size)
    answer = site.post("/upload", data={"note": "n"}, files={"file": ("a.bin", BytesIO(data))}).json()
    assert answer == {"name": "a.bin", "size": size, "sha": hashlib.sha256(data).hexdigest(), "note": "n"}


@flask
def test_flask_streams_and_files(site: Session) -> None:
    assert site.get("/stream").text == "".join(f"/stream {number}\n" for number in range(1000))
    source = (APPS / "flask_app.py").read_bytes()
    whole = site.get("/file")
    assert whole.content == source
    assert site.get("/file", headers={"Range": "bytes=10-19"}).content == source[10:20]
    assert site.get("/file", headers={"If-None-Match": whole.headers["ETag"]}).status == 304
    assert site.get("/memory").content == b"m" * 100_000
    assert site.get("/after").text == "0 before"
    assert site.get("/after").text == "1 before"


# -- Django


@django
def test_django_admin(site: Session) -> None:
    page = site.get("/admin/")
    assert "/admin/login/" in str(page.url)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token is not None
    form = {"username": "root", "password": "secret", "csrfmiddlewaretoken": token[1], "next": "/admin/"}
    inside = site.post("/admin/login/", data=form)
    assert "Site administration" in inside.text
    assert "root@example.org" in site.get("/admin/auth/user/").text


@django
def test_django_form(site: Session) -> None:
    token = site.get("/contact/").text
    assert site.post("/contact/", data={"name": "anna"}).status == 403
    sent = site.post("/contact/", data={"name": "anna"}, headers={"X-CSRFToken": token})
    assert sent.json() == {"name": "anna"}
    wrong = site.post("/contact/", data={"name": "x" * 21}, headers={"X-CSRFToken": token})
    assert "at most 20" in wrong.text


@django
def test_django_static_files(site: Session) -> None:
    import django

    folder = Path(django.__file__).parent / "contrib/admin/static/admin"
    for name in ("css/base.css", "img/icon-yes.svg"):
        answer = site.get(f"/static/admin/{name}")
        assert answer.content == (folder / name).read_bytes()
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert site.get("/static/admin/none.css").status == 404


@django
def test_django_upload_of_20_megabytes(site: Session) -> None:
    data = os.urandom(20_000_000)
    answer = site.post("/upload/", files={"file": ("big.bin", BytesIO(data))}).json()
    assert answer == {"size": len(data), "sha": hashlib.sha256(data).hexdigest()}
    assert site.get("/stream/").text == "".join(f"{number}\n" for number in range(500))


# -- Bottle, Falcon, httpbin


@bottle
def test_bottle(site: Session) -> None:
    assert site.get("/hello/anna", params={"q": "x"}).json() == {"hello": "anna", "q": "x"}
    assert site.post("/form", data={"a": "1"}).text == "1 None"
    assert site.post("/form", data={"a": "2"}).text == "2 1"
    assert site.post("/upload", files={"file": ("a", BytesIO(b"x" * 500_000))}).text == "500000"
    assert site.get("/file").content == (APPS / "bottle_app.py").read_bytes()
    assert site.get("/stream").text == "".join(f"{number}\n" for number in range(100))
    assert site.get("/none").status == 404


@falcon
def test_falcon(site: Session) -> None:
    assert site.get("/items/7", params={"q": "x"}).json() == {"number": 7, "q": "x"}
    put = site.put("/items/7", json={"a": 1})
    assert (put.status, put.json()) == (201, {"number": 7, "body": {"a": 1}})
    gone = site.delete("/items/7")
    assert (gone.status, gone.content) == (204, b"")
    assert site.get("/stream").text == "".join(f"{number}\n" for number in range(100))
    pieces = (b"x" * 1000 for _ in range(50))  # of unknown length, so in chunks
    assert site.post("/stream", content=pieces).text == "50000"


@httpbin
def test_httpbin(site: Session) -> None:
    for method in ("get", "post", "put", "patch", "delete"):
        answer = getattr(site, method)(f"/{method}", params={"a": "b"}, headers={"X-C": "d"}).json()
        assert (answer["args"], answer["headers"]["X-C"]) == ({"a": "b"}, "d")
    assert site.post("/anything/x", data={"f": "g"}).json()["form"] == {"f": "g"}
    assert len(site.get("/stream/20").text.splitlines()) == 20
    assert len(site.get("/bytes/50000").content) == 50_000
    assert len(site.get("/stream-bytes/50000", params={"chunk_size": "1000"}).content) == 50_000
    assert site.get("/range/26").text == "abcdefghijklmnopqrstuvwxyz"
    assert site.get("/gzip").json()["gzipped"]
    assert site.get("/cookies/set", params={"k": "v"}).json()["cookies"] == {"k": "v"}
    assert site.get("/redirect/3").json()["url"].endswith("/get")
    for status in (200, 204, 304, 404, 418, 503):
        assert site.get(f"/status/{status}").status == status
    assert site.get("/basic-auth/u/p", auth=("u", "p")).json()["authenticated"]
    assert len(site.get("/drip", params={"numbytes": "5", "duration": "0.05", "delay": "0"}).content) == 5
    assert site.get("/html").text.startswith("<!DOCTYPE html>")
