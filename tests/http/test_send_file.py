"""A file as a response: what is no file, and what the clock has to do with it."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from time import time

import pytest

from firstbyte.errors import HTTPError
from firstbyte.http.dates import format_date, parse_date
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.http.send_file import send_file


def ask(path: Path, headers: dict[str, str] | None = None) -> Response:
    return send_file(path, Request.build("GET", "/", headers or {}))


def refusal(path: Path) -> int:
    with pytest.raises(HTTPError) as caught:
        ask(path)
    return caught.value.status


def test_what_is_no_file_is_404_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)  # the name of a Unix socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for name in ("fifo", "loop", "socket", ".", "missing", "missing/below", "a" * 300, "a\0b"):
            assert refusal(tmp_path / name) == 404, name


def test_what_the_system_cannot_do_is_no_404(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: object, flags: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(OSError, match="Too many"):
        ask(tmp_path / "a")


def test_last_modified_is_never_later_than_now(tmp_path: Path) -> None:
    """RFC 9110 section 8.8.2.1."""
    path = tmp_path / "a"
    path.write_text("text")
    future = time() + 86_400
    os.utime(path, (future, future))
    answer = ask(path)
    given = parse_date(answer.headers["Last-Modified"])
    assert given is not None
    assert given <= time()
    # What is said to have changed just now is not what a client has had for an hour.
    assert ask(path, {"If-Modified-Since": format_date(time() - 3600)}).status == 200
    assert ask(path, {"Range": "bytes=0-1", "If-Range": format_date(future)}).status == 200
    assert ask(path, {"If-None-Match": answer.headers["ETag"]}).status == 304
