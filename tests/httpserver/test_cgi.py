"""Programs run by CGIHTTPRequestHandler; what they are told and may answer is tested in hosts/test_cgi.py."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from firstbyte.httpserver import CGIHTTPRequestHandler, HTTPServer
from httpserver.support import Start, ask

HELLO = "#!/bin/sh\necho 'Content-Type: text/plain'\necho\n"


class Handler(CGIHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    programs = tmp_path / "cgi-bin"
    programs.mkdir()
    for name, text, mode in (
        ("hello", HELLO + 'echo "$SCRIPT_NAME $PATH_INFO $QUERY_STRING $REQUEST_METHOD"; cat', 0o755),
        ("source", HELLO, 0o644),
        ("fails", "#!/bin/sh\necho nonsense", 0o755),
        ("moved", "#!/bin/sh\necho 'Location: https://example.org/'\necho", 0o755),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(mode)
    (tmp_path / "a.txt").write_text("a file")
    (tmp_path / "link").symlink_to(programs / "hello")
    return tmp_path


@pytest.fixture
def server(start: Start, folder: Path) -> HTTPServer:
    return start(partial(Handler, directory=str(folder)))


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/cgi-bin/hello/x%20y?q=//a//", 200, b"/cgi-bin/hello /x y q=//a// GET\n"),
        ("POST", "/cgi-bin/hello", 200, b"/cgi-bin/hello   POST\nbody"),
        ("HEAD", "/cgi-bin/hello", 200, b""),
        ("GET", "/cgi-bin/moved", 302, b""),
        ("GET", "/cgi-bin/fails", 502, None),
        ("GET", "/cgi-bin/source", 403, None),
        ("GET", "/cgi-bin/none", 404, None),
        ("GET", "/cgi-bin/", 404, None),
        ("GET", "/cgi-bin", 404, None),
        ("GET", "/htbin/x", 404, None),
        ("GET", "/a.txt", 200, b"a file"),
        ("POST", "/a.txt", 501, None),
        # Other ways to write the same address: whatever they are, none is that of a file.
        ("GET", "/cgi-bin%2fhello", 404, None),
        ("GET", "/%63gi-bin/hello", 404, None),
        ("GET", "/./cgi-bin/source", 404, None),
        ("GET", "/x/../cgi-bin/source", 404, None),
        ("GET", "/link", 404, None),
    ],
)
def test_programs_are_run_and_files_sent(
    server: HTTPServer, method: str, path: str, status: int, body: bytes | None
) -> None:
    found, response, data = ask(server, path, method, b"body" if method == "POST" else None)
    assert found == status
    assert body is None or data == body
    assert b"#!" not in data
    assert (response.headers["Location"] == "https://example.org/") == (status == 302)


def test_the_rest_of_a_path_is_translated(start: Start, folder: Path) -> None:
    program = folder / "cgi-bin" / "hello"
    program.write_text(HELLO + 'echo "$PATH_TRANSLATED"')
    assert (
        ask(start(partial(Handler, directory=str(folder))), "/cgi-bin/hello/a.txt")[2].decode() == f"{folder}/a.txt\n"
    )


def test_the_folders_of_programs_are_those_of_the_class(start: Start, folder: Path) -> None:
    class Other(Handler):
        cgi_directories = ["/sub/programs"]

    (folder / "sub").mkdir()
    (folder / "cgi-bin").rename(folder / "sub" / "programs")
    server = start(partial(Other, directory=str(folder)))
    assert ask(server, "/sub/programs/hello")[2].startswith(b"/sub/programs/hello")
