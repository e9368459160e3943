"""Uploads over connections: those that break, 100 (Continue), and the memory that they take."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from engine.support import Client, Running, Serve
from files.support import names
from firstbyte.files.pages import ErrorPages
from firstbyte.files.upload_store import PARTIALS, UploadLimits
from firstbyte.files.uploads import Uploads

PIECE = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


@pytest.fixture(params=["auto", "asyncio"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def running(serve: Serve, root: Path) -> Running:
    return serve(ErrorPages(Uploads(root, limits=UploadLimits(file_bytes=64 * PIECE))))  # as the command line does


def head(method: str, path: str, length: int | None = None, *fields: str) -> bytes:
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", framing, *fields, "", ""]).encode()


def test_a_broken_put_leaves_nothing(running: Running, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, framing in enumerate((100_000, None), 1):
        client = running.client()
        client.send(head("PUT", "/b.bin", framing) + b"100\r\n" + b"x" * 50)
        running.recorder.wait_for("handler_started", number)
        client.close()
        running.recorder.wait_for("closed", number)
    assert not (root / "b.bin").exists()
    assert running.client().send(head("PUT", "/b.bin", 3) + b"new").read()[0] == 201
    assert names(root) == {"b.bin"}
    assert caplog.records == []  # it is no fault of the server's


def test_a_chunked_put(running: Running, root: Path) -> None:
    client = running.client()
    client.send(head("PUT", "/b.bin") + b"3\r\nabc\r\n").send(b"2\r\nde\r\n0\r\n\r\n")
    assert client.read()[0] == 201
    assert (root / "b.bin").read_bytes() == b"abcde"
    client.send(head("PUT", "/c.bin") + b"4000001\r\n")  # one byte more than may be, without saying so before
    client.send(b"x" * (64 * PIECE))
    client.send(b"x")
    assert client.read()[0] == 413
    assert names(root) == {"b.bin"}


@pytest.mark.parametrize(
    ("path", "length", "status"), [("/taken.bin", 5, 409), ("/b.bin", 65 * PIECE, 413), ("/.b", 5, 400)]
)
def test_what_is_refused_is_not_asked_for(running: Running, root: Path, path: str, length: int, status: int) -> None:
    (root / "taken.bin").write_text("taken")
    client = running.client().send(head("PUT", path, length, "Expect: 100-continue"))
    assert client.read()[0] == status


def test_what_is_not_refused_is_asked_for(running: Running, root: Path) -> None:
    client = running.client().send(head("PUT", "/b.bin", 3, "Expect: 100-continue"))
    assert client.read()[0] == 100
    assert client.send(b"abc").read()[0] == 201


def test_a_broken_upload_is_resumed(running: Running, root: Path) -> None:
    tus = "Tus-Resumable: 1.0.0"
    chunk = "Content-Type: application/offset+octet-stream"
    name = f"Upload-Metadata: filename {b64encode(b'b.bin').decode()}"
    body = bytes(range(256)) * 1024
    checksum = f"Upload-Checksum: sha256 {b64encode(sha256(body).digest()).decode()}"
    client = running.client().send(head("POST", "/", 0, tus, name, f"Upload-Length: {len(body)}"))
    path = client.read()[1]["location"]

    def offset() -> int:
        status, fields, _ = client.send(head("HEAD", path, 0, tus)).read(head_only=True)
        assert status == 200
        return int(fields["upload-offset"])

    for number, (field, kept) in enumerate([(checksum, False), ("X: y", True)], 1):
        at = offset()
        broken = running.client().send(head("PATCH", path, len(body), tus, chunk, "Upload-Offset: 0", field))
        broken.send(body[:100_000])
        partial = root / PARTIALS / path[-32:]
        while partial.stat().st_size - at < 100_000:  # the connection is gone when all of it is there
            pass
        broken.close()
        running.recorder.wait_for("closed", number)
        assert offset() == (100_000 if kept else 0)
    assert names(root) == {f"{PARTIALS}/{path[-32:]}", f"{PARTIALS}/{path[-32:]}.json"}
    rest = body[100_000:]
    client.send(head("PATCH", path, len(rest), tus, chunk, "Upload-Offset: 100000") + rest)
    assert client.read()[1]["content-location"] == "/b.bin"
    assert (root / "b.bin").read_bytes() == body


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory is read from /proc")
def test_memory_does_not_grow_with_the_file(root: Path) -> None:
    command = [sys.executable, "-m", "firstbyte", "0", "-d", str(root), "--upload", "--no-access-log"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            port = int(process.stderr.readline().split("http://127.0.0.1:")[1].split(" ")[0])
            client = Client(port)
            client.send(head("PUT", "/small.bin", 1) + b"x").read()
            before = _peak(process.pid)
            client.send(head("PUT", "/big.bin", 100 * PIECE))
            for _ in range(100):
                client.send(b"x" * PIECE)
            assert client.read()[0] == 201
            boundary = b'--b\r\nContent-Disposition: form-data; name="f"; filename="form.bin"\r\n\r\n'
            size = len(boundary) + 100 * PIECE + len(b"\r\n--b--\r\n")
            client.send(head("POST", "/", size, "Content-Type: multipart/form-data; boundary=b") + boundary)
            for _ in range(100):
                client.send(b"x" * PIECE)
            assert client.send(b"\r\n--b--\r\n").read()[0] == 201
            client.close()
            assert _peak(process.pid) - before < 20 * PIECE
        finally:
            process.kill()
    assert {name: (root / name).stat().st_size for name in names(root)} == {
        "small.bin": 1,
        "big.bin": 100 * PIECE,
        "form.bin": 100 * PIECE,
    }


def _peak(pid: int) -> int:
    """The most memory that a process has had, in bytes."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match is not None
    return int(match[1]) * 1024
