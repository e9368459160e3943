"""Where log lines go: gathering, reopening, and what happens when nothing can be written."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.support import WAIT
from firstbyte.cli import log_file
from firstbyte.cli.log_file import LogFile
from firstbyte.errors import ConfigurationError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def log(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LogFile]:
    """A log whose gathered lines are not written by time."""
    monkeypatch.setattr(log_file, "DELAY", 1000)
    log = LogFile(str(path))
    yield log
    log.close()


def test_lines_of_a_file_are_gathered_until_there_are_enough(path: Path, log: LogFile) -> None:
    log.write(b"one\n")
    assert path.read_bytes() == b""
    line = b"x" * 999 + b"\n"
    for _ in range(log_file.FULL // 1000 + 1):
        log.write(line)
    assert path.read_bytes() == b"one\n" + line * (log_file.FULL // 1000 + 1)


def test_gathered_lines_are_written_when_their_time_is_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "DELAY", 0.01)
    written = threading.Event()
    log = LogFile(str(path))
    flush = log.flush
    monkeypatch.setattr(log, "flush", lambda: (flush(), written.set()))
    for line in (b"one\n", b"two\n"):
        written.clear()
        log.write(line)
        assert written.wait(WAIT)
        assert path.read_bytes().endswith(line)
    log.close()


def test_closing_writes_what_is_left_and_ends_the_thread(path: Path, log: LogFile) -> None:
    log.write(b"one\n")
    log.close()
    log.close()
    assert path.read_bytes() == b"one\n"
    assert log._flusher is not None
    log._flusher.join(WAIT)
    assert not log._flusher.is_alive()


def test_nothing_is_lost_when_the_process_ends(path: Path) -> None:
    code = f"from firstbyte.cli.log_file import LogFile; LogFile({str(path)!r}).write(b'last\\n')"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=WAIT)
    assert path.read_bytes() == b"last\n"


def test_a_file_that_is_there_is_added_to(path: Path, log: LogFile) -> None:
    path.write_bytes(b"old\n")
    log.write(b"new\n")
    log.flush()
    assert path.read_bytes() == b"old\nnew\n"


def test_reopening_goes_on_in_a_new_file(path: Path, log: LogFile) -> None:
    log.write(b"before\n")
    log.flush()
    moved = path.rename(path.with_suffix(".1"))
    log.reopen()
    log.write(b"after\n")
    log.flush()
    assert (moved.read_bytes(), path.read_bytes()) == (b"before\n", b"after\n")


def test_reopening_while_threads_write_loses_no_line(path: Path, log: LogFile) -> None:
    def write(number: int) -> None:
        for index in range(500):
            log.write(b"%d %d\n" % (number, index))
            if index % 7 == 0:
                log.flush()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for generation in range(10):
        path.rename(path.with_suffix(f".{generation}"))
        log.reopen()
    for thread in threads:
        thread.join()
    log.close()
    lines = b"".join(each.read_bytes() for each in path.parent.iterdir()).splitlines()
    assert len(lines) == 2000
    assert len(set(lines)) == 2000


def test_a_file_that_cannot_be_reopened_is_kept(path: Path, log: LogFile, caplog: pytest.LogCaptureFixture) -> None:
    moved = path.rename(path.with_suffix(".1"))
    path.mkdir()
    log.reopen()
    log.write(b"still\n")
    log.flush()
    assert moved.read_bytes() == b"still\n"
    assert "cannot be reopened, the old file is kept: Is a directory" in caplog.text


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"the log .*nowhere/x cannot be opened: No such file or directory"):
        LogFile(str(tmp_path / "nowhere" / "x"))


def test_a_pipe_gets_each_line_at_once_and_its_end_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = os.pipe()
    log = LogFile(theirs)
    log.write(b"one\n")
    assert os.read(ours, 100) == b"one\n"
    log.reopen()  # nothing to reopen
    os.close(ours)
    with caplog.at_level(logging.ERROR):
        log.write(b"two\n")
        log.write(b"three\n")
    assert [record.getMessage() for record in caplog.records] == [
        f"the log {theirs} cannot be written, lines are lost: Broken pipe"
    ]
    log.close()
    os.close(theirs)


def test_a_full_disk_tears_no_line(
    path: Path, log: LogFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    room = 6
    write = os.write

    def write_some(fd: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(28, "No space left on device")
        written = write(fd, data[:room])
        room -= written
        return written

    monkeypatch.setattr(log_file.os, "write", write_some)
    log.write(b"one\n")
    log.write(b"two\n")
    log.write(b"three\n")
    log.flush()
    log.write(b"four\n")
    log.flush()
    assert path.read_bytes() == b"one\ntw"
    room = 1000
    log.write(b"five\n")
    log.flush()
    assert path.read_bytes() == b"one\ntwo\nfive\n"
    assert [record.getMessage() for record in caplog.records] == [
        f"the log {path} cannot be written, lines are lost: No space left on device",
        f"the log {path} can be written again; 2 lines were lost",
    ]
