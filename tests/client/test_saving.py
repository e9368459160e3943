"""Downloads into files, over both drivers."""

from __future__ import annotations

import hashlib
import re
import socket
from pathlib import Path

import pytest

from client.support import MakeFace, MakeRaw, RawServer, read_request
from firstbyte.errors import BadResponse, IncompleteBody, InvalidRequest, StatusError

DATA = bytes(range(256)) * 1000


class Files:
    """A server of one file that cuts the connection after `cut` bytes of the body, and keeps the requests."""

    def __init__(self, raw: MakeRaw, cut: int | None = None, etag: str = '"v1"', data: bytes = DATA) -> None:
        self.cut, self.etag, self.data = cut, etag, data
        self.requests: list[str] = []
        self.server: RawServer = raw(self._answer)

    def _answer(self, sock: socket.socket) -> None:
        while True:
            request = read_request(sock).decode()
            self.requests.append(request)
            match = re.search(r"\r\nRange: bytes=(\d+)-\r\nIf-Range: (.*)\r\n", request)
            start = int(match[1]) if match is not None and match[2] == self.etag else 0
            head = f"HTTP/1.1 {206 if start else 200} OK\r\nContent-Length: {len(self.data) - start}\r\n"
            head += f"ETag: {self.etag}\r\n" if self.etag else ""
            head += f"Content-Range: bytes {start}-{len(self.data) - 1}/{len(self.data)}\r\n" if start else ""
            sock.sendall(head.encode() + b"\r\n" + self.data[start : self.cut])
            if self.cut is not None:
                return


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_into_a_file_and_into_a_folder(face: MakeFace, raw: MakeRaw, tmp_path: Path) -> None:
    files = Files(raw)
    session = face()
    told: list[tuple[int, int | None]] = []
    path = session.download(f"{files.server.url}/a.bin", tmp_path / "own", progress=lambda *now: told.append(now))
    assert path == tmp_path / "own"
    assert path.read_bytes() == DATA
    assert (told[0], told[-1]) == ((0, len(DATA)), (len(DATA), len(DATA)))
    assert session.download(f"{files.server.url}/a.bin", tmp_path) == tmp_path / "a.bin"
    assert session.download(f"{files.server.url}/a.bin", tmp_path) == tmp_path / "a-1.bin"
    assert names(tmp_path) == ["a-1.bin", "a.bin", "own"]
    assert "accept-encoding: identity\r\n" in files.requests[0].lower()


@pytest.mark.parametrize("target", ["own", ""])
def test_a_download_that_was_cut_is_gone_on_with(face: MakeFace, raw: MakeRaw, tmp_path: Path, target: str) -> None:
    files = Files(raw, cut=100_000)
    with pytest.raises(IncompleteBody):
        face().download(f"{files.server.url}/own", tmp_path / target)
    assert names(tmp_path) == ["own.part", "own.part.json"]
    files.cut = None
    told: list[int] = []
    path = face().download(f"{files.server.url}/own", tmp_path / target, progress=lambda done, _: told.append(done))
    assert path.read_bytes() == DATA
    assert told[0] == 100_000
    assert names(tmp_path) == ["own"]


def test_a_file_that_changed_comes_whole(face: MakeFace, raw: MakeRaw, tmp_path: Path) -> None:
    files = Files(raw, cut=100_000)
    with pytest.raises(IncompleteBody):
        face().download(files.server.url, tmp_path / "own")
    files.cut, files.etag, files.data = None, '"v2"', b"new"
    assert face().download(files.server.url, tmp_path / "own").read_bytes() == b"new"
    assert names(tmp_path) == ["own"]


def test_without_a_validator_nothing_is_left(face: MakeFace, raw: MakeRaw, tmp_path: Path) -> None:
    files = Files(raw, cut=100_000, etag="")
    with pytest.raises(IncompleteBody):
        face().download(files.server.url, tmp_path / "own")
    assert names(tmp_path) == []


def test_a_file_is_replaced_only_when_all_is_there(face: MakeFace, raw: MakeRaw, tmp_path: Path) -> None:
    (tmp_path / "own").write_text("old")
    files = Files(raw, cut=10)
    with pytest.raises(IncompleteBody):
        face().download(files.server.url, tmp_path / "own")
    assert (tmp_path / "own").read_text() == "old"
    files.cut = None
    assert face().download(files.server.url, tmp_path / "own").read_bytes() == DATA


def test_checksums(face: MakeFace, raw: MakeRaw, tmp_path: Path) -> None:
    files = Files(raw)
    right = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
    assert face().download(files.server.url, tmp_path / "own", checksum=right).read_bytes() == DATA
    with pytest.raises(BadResponse) as raised:
        face().download(files.server.url, tmp_path / "other", checksum=f"sha256:{'0' * 64}")
    assert raised.value.rule == "checksum"
    assert names(tmp_path) == ["own"]


def test_what_is_no_file(face: MakeFace, raw: MakeRaw, tmp_path: Path) -> None:
    server = raw(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(StatusError):
        face().download(server.url, tmp_path / "own")
    with pytest.raises(InvalidRequest, match="cannot be written: No such file"):
        face().download(Files(raw).server.url, tmp_path / "nowhere" / "own")
    assert names(tmp_path) == []


def test_progress_on_standard_error(
    face: MakeFace, raw: MakeRaw, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    face().download(Files(raw).server.url, tmp_path / "own", progress=True)
    assert "100%  256.0 kB of 256.0 kB" in capsys.readouterr().err
