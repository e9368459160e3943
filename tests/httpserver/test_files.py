"""Folders served by SimpleHTTPRequestHandler."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from engine.support import Client
from engine.test_streaming import slow_reader
from firstbyte.httpserver import HTTPServer, SimpleHTTPRequestHandler
from httpserver.support import Start, ask


class Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a.txt").write_text("a")
    (root / "empty.html").write_text("")
    (root / ".env").write_text("secret")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("secret")
    (root / ".well-known").mkdir()
    (root / ".well-known" / "x.txt").write_text("known")
    (tmp_path / "outside.txt").write_text("outside")
    (root / "out.txt").symlink_to(tmp_path / "outside.txt")
    (root / "in.txt").symlink_to(root / "sub" / "a.txt")
    (root / "loop").symlink_to(root / "loop")
    return root


@pytest.fixture
def server(start: Start, folder: Path) -> HTTPServer:
    return start(partial(Files, directory=folder))


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/sub/a.txt", 200, b"a"),
        ("/sub/a.txt?x=1", 200, b"a"),
        ("/sub/../sub/%61.txt", 200, b"a"),
        ("/in.txt", 200, b"a"),
        ("/empty.html", 200, b""),
        ("/.well-known/x.txt", 200, b"known"),
        ("/sub/a.txt/", 404, None),
        ("/none", 404, None),
        ("/.env", 404, None),
        ("/%2eenv", 404, None),
        ("/.git/config", 404, None),
        ("/.git/", 404, None),
        ("/out.txt", 404, None),
        ("/loop", 404, None),
        ("/../outside.txt", 404, None),
        ("/..%2foutside.txt", 404, None),
        ("/%00", 404, None),
        ("/" + "x" * 300, 404, None),
    ],
)
def test_files_and_what_is_none(server: HTTPServer, path: str, status: int, body: bytes | None) -> None:
    found, _, data = ask(server, path)
    assert found == status
    assert body is None or data == body
    assert b"secret" not in data


def test_a_class_may_serve_what_is_hidden_and_follow_links(start: Start, folder: Path) -> None:
    class Open(Files):
        serves_hidden = True
        follows_links = True

    server = start(partial(Open, directory=str(folder)))
    assert ask(server, "/.env")[2] == b"secret"
    assert ask(server, "/out.txt")[2] == b"outside"


def test_a_folder_is_redirected_to_its_slash_and_nowhere_else(server: HTTPServer) -> None:
    status, response, _ = ask(server, "/sub?x=1")
    assert (status, response.headers["Location"]) == (301, "/sub/?x=1")
    client = Client(server.server_port).get("//evil.example/..%2fsub")
    status, fields, _ = client.read()
    assert (status, fields["location"]) == (301, "/evil.example/..%2fsub/")
    client.close()


def test_a_folder_is_listed(server: HTTPServer, folder: Path) -> None:
    (folder / "<b>&.txt").write_text("")
    (folder / os.fsdecode(b"\xff.txt")).write_text("odd")
    status, response, body = ask(server, "/?x=%bb")
    assert (status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "Directory listing for /?x=\ufffd".encode() in body
    assert b'<a href="sub/">sub/</a>' in body
    assert b">in.txt@</a>" in body
    assert b'<a href="%3Cb%3E%26.txt">&lt;b&gt;&amp;.txt</a>' in body
    odd = quote(os.fsdecode(b"\xff.txt"), errors="surrogatepass")
    assert f'<a href="{odd}">'.encode() in body
    assert ask(server, "/" + odd)[2] == b"odd"
    assert b".env" not in body
    assert b"out.txt" not in body
    assert ask(server, "/?x=%bb", "HEAD")[1].headers["Content-Length"] == str(len(body))


def test_a_folder_with_an_index_shows_it(server: HTTPServer, folder: Path) -> None:
    (folder / "index.htm").write_text("old")
    assert ask(server)[2] == b"old"
    (folder / "index.html").write_text("new")
    assert ask(server)[2] == b"new"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 304),
        ({"If-Modified-Since": "Fri, 01 Jan 1999 00:00:00 GMT"}, 200),
        ({"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT", "If-None-Match": "*"}, 200),
        ({"If-Modified-Since": "whenever"}, 200),
    ],
)
def test_what_a_browser_has_is_not_sent_again(server: HTTPServer, fields: dict[str, str], status: int) -> None:
    assert ask(server, "/sub/a.txt", headers=fields)[0] == status


def test_a_large_file_for_a_slow_reader_holds_no_thread(start: Start, folder: Path) -> None:
    (folder / "large").write_bytes(b"x" * 30_000_000)
    server = start(partial(Files, directory=folder), HTTPServer)  # which has one
    slow = slow_reader(server.server_port, "/large")
    slow.sock.recv(1)
    assert ask(server, "/sub/a.txt")[2] == b"a"
    slow.close()
