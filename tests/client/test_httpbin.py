"""httpbin, which other clients are tested with: served by firstbyte, by gunicorn, and in memory."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

import needs
from client.support import Face, MakeFace
from firstbyte import Server
from firstbyte.client import Digest, Timeout
from firstbyte.errors import ReadTimeout, StatusError, TooManyRedirects
from firstbyte.hosts.wsgi import WSGI

httpbin = needs.package("httpbin")


@contextmanager
def served_by_firstbyte() -> Iterator[str]:
    with Server(WSGI(httpbin.app), port=0) as server:
        yield f"http://127.0.0.1:{server.port}"


@contextmanager
def served_by_gunicorn() -> Iterator[str]:
    needs.package("gunicorn")
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:  # clients wait there until it is up
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "--bind",
            f"fd://{listening.fileno()}",
            "--threads",
            "8",
            "httpbin:app",
        ]
        with subprocess.Popen(command, pass_fds=[listening.fileno()], stderr=subprocess.DEVNULL) as process:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            process.terminate()


SERVERS = {"firstbyte": served_by_firstbyte, "gunicorn": served_by_gunicorn}


@pytest.fixture(scope="module", params=["firstbyte", "gunicorn", "memory"])
def url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Where httpbin is; None for in memory."""
    if request.param == "memory":
        yield None
    else:
        with SERVERS[request.param]() as url:
            yield url


@pytest.fixture
def session(face: MakeFace, url: str | None) -> Face:
    return face(app=httpbin.app) if url is None else face(base_url=url)


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_methods(session: Face, method: str) -> None:
    answer = getattr(session, method)(f"/{method}", params={"a": "b"}, headers={"X-C": "d"}).json()
    assert answer["args"] == {"a": "b"}
    assert answer["headers"]["X-C"] == "d"


def test_bodies(session: Face) -> None:
    assert session.post("/post", json={"a": 1}).json()["json"] == {"a": 1}
    assert session.post("/post", data={"a": ["1", "2"]}).json()["form"] == {"a": ["1", "2"]}
    assert session.post("/post", content=b"raw").json()["data"] == "raw"
    sent = session.post("/post", data={"a": "b"}, files={"f": ("n.txt", b"in it")}).json()
    assert (sent["form"], sent["files"]) == ({"a": "b"}, {"f": "in it"})


@pytest.mark.parametrize("status", [200, 201, 204, 304, 404, 418, 500, 503])
def test_statuses(session: Face, status: int) -> None:
    response = session.get(f"/status/{status}")
    assert response.status == status
    if status >= 400:
        with pytest.raises(StatusError):
            response.raise_for_status()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "brotli"])
def test_codings(session: Face, coding: str) -> None:
    key = {"gzip": "gzipped", "deflate": "deflated"}.get(coding, coding)
    assert session.get(f"/{coding}").json()[key] is True


def test_formats(session: Face) -> None:
    assert "slideshow" in session.get("/json").json()
    assert session.get("/html").text.startswith("<!DOCTYPE html>")
    assert session.get("/encoding/utf8").text.count("∮") == 1
    assert session.get("/image/png").content.startswith(b"\x89PNG")
    assert session.get("/robots.txt").text.startswith("User-agent")


def test_redirects(session: Face) -> None:
    for path in ("/redirect/3", "/relative-redirect/3", "/absolute-redirect/3"):
        response = session.get(path)
        assert (response.status, len(response.history)) == (200, 3)
    assert session.get("/redirect-to", params={"url": "/get", "status_code": 307}).status == 200
    with pytest.raises(TooManyRedirects):
        session.get("/redirect/30")


def test_cookies(session: Face) -> None:
    assert session.get("/cookies/set", params={"a": "b", "c": "d"}).json()["cookies"] == {"a": "b", "c": "d"}
    assert session.get("/cookies/delete", params={"a": ""}).json()["cookies"] == {"c": "d"}
    assert session.get("/cookies", cookies={"e": "f"}).json()["cookies"] == {"c": "d", "e": "f"}


def test_authentication(session: Face) -> None:
    assert session.get("/basic-auth/u/p", auth=("u", "p")).json()["authenticated"]
    assert session.get("/basic-auth/u/p", auth=("u", "no")).status == 401
    assert session.get("/hidden-basic-auth/u/p").status == 404
    assert session.get("/bearer", headers={"Authorization": "Bearer t"}).json()["token"] == "t"
    for algorithm in ("MD5", "SHA-256"):
        # Its SHA-512 is none of RFC 7616, which has SHA-512-256.
        response = session.get(f"/digest-auth/auth/u/p/{algorithm}", auth=Digest("u", "p"))
        assert response.json()["authenticated"], algorithm


def test_streams_and_ranges(session: Face) -> None:
    with session.stream("GET", "/stream/5") as response:
        assert len(session.all(response, "lines")) == 5
    assert len(session.get("/bytes/1000").content) == 1000
    assert len(session.get("/stream-bytes/1000", params={"chunk_size": 7}).content) == 1000
    part = session.get("/range/100", headers={"Range": "bytes=10-19"})
    assert (part.status, part.headers["content-range"], len(part.content)) == (206, "bytes 10-19/100", 10)
    assert session.get("/drip", params={"duration": 0, "numbytes": 20}).content == b"*" * 20


def test_conditions(session: Face) -> None:
    assert session.get("/etag/x", headers={"If-None-Match": "x"}).status == 304
    assert session.get("/cache", headers={"If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"}).status == 304
    assert session.get("/response-headers", params={"X-A": ["1", "2"]}).headers.get_all("x-a") == ["1", "2"]


def test_a_delay(face: MakeFace, url: str | None) -> None:
    if url is None:
        return  # nobody waits for what is in memory
    with pytest.raises(ReadTimeout):
        face(base_url=url, timeout=Timeout(read=0.1)).get("/delay/1")


def test_a_redirect_of_a_post(session: Face) -> None:
    response = session.post("/redirect-to", params={"url": "/post", "status_code": 307}, json=[1])
    assert response.json()["json"] == [1]


SAMPLES = {
    "algorithm": "MD5",
    "codes": "200",
    "delay": "0",
    "n": "2",
    "numbytes": "8",
    "qop": "auth",
    "stale_after": "never",
}


def addresses() -> list[tuple[str, str]]:
    """A method and a path for each of httpbin's rules."""
    found = []
    for rule in httpbin.app.url_map.iter_rules():
        path = "".join(SAMPLES.get(part, "1") if is_dynamic else part for is_dynamic, part in rule._trace)
        found += [(method, path.replace("|", "")) for method in sorted(rule.methods or ())]
    return found


def test_every_address_is_answered(face: MakeFace, url: str | None) -> None:
    if url is None:
        session = face(app=httpbin.app, follow_redirects=False)
    else:
        session = face(base_url=url, follow_redirects=False)
    known = addresses()
    assert len(known) > 100
    for method, path in known:
        if method != "TRACE":
            response = session.request(method, path)
            assert response.status < 500, (method, path, response.status)
            assert method != "HEAD" or response.content == b""
    assert session.session.pool.open_connections == session.session.pool.idle_connections
