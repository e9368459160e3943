"""`--pid`, `--user`, `--group` and `--umask`."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.supervised import supervised
from firstbyte.cli.privileges import drop_privileges, pid_file
from firstbyte.errors import ConfigurationError


def test_the_pid_file_of_a_server_with_workers(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with supervised(tmp_path, "--pid", str(path)) as server:
        assert int(path.read_text()) == server.process.pid
        assert server.stop() == 0
    assert not path.exists()


def test_a_pid_file_of_a_running_process_is_respected(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{os.getppid()}\n")
    with pytest.raises(ConfigurationError, match=f"process {os.getppid()} of .* is running"), pid_file(str(path)):
        pass
    assert path.exists()


@pytest.mark.parametrize("content", ["", "nonsense", "999999999"])
def test_a_pid_file_that_was_left_behind_is_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pid"
    path.write_text(content)
    with pid_file(str(path)):
        assert int(path.read_text()) == os.getpid()
    assert not path.exists()


def test_a_pid_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"), pid_file(str(tmp_path / "none" / "pid")):
        pass


def in_a_child(check: Callable[[], bool]) -> bool:
    """Whether it holds in a process of its own, whose user is nobody else's business."""
    pid = os.fork()
    if pid == 0:
        held = False
        try:
            held = check()
        finally:
            os._exit(0 if held else 1)
    return os.waitpid(pid, 0)[1] == 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # threads of other tests are still there
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("by_number", [False, True])
def test_another_user_for_good(by_number: bool) -> None:
    nobody = pwd.getpwnam("nobody")

    def check() -> bool:
        drop_privileges(str(nobody.pw_uid) if by_number else "nobody", None)
        try:
            os.setuid(0)
        except PermissionError:
            return (
                os.getresuid() == (nobody.pw_uid,) * 3
                and os.getresgid() == (nobody.pw_gid,) * 3
                and 0 not in os.getgroups()
                and os.environ["USER"] == "nobody"
            )
        return False

    assert in_a_child(check)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # threads of other tests are still there
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_group_alone() -> None:
    group = next(each for each in grp.getgrall() if each.gr_gid not in (0, os.getegid()))

    def check() -> bool:
        drop_privileges(None, group.gr_name)
        return os.getresgid() == (group.gr_gid,) * 3 and os.getgroups() == [group.gr_gid] and os.geteuid() == 0

    assert in_a_child(check)


def test_only_root_becomes_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ConfigurationError, match="only root"):
        drop_privileges("0", None)


@pytest.mark.parametrize(("user", "group"), [("no-such-user", None), (None, "no-such-group"), ("999999", None)])
def test_names_that_do_not_exist(user: str | None, group: str | None) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no (user|group)"):
        drop_privileges(user, group)


def test_who_one_is_already_needs_no_root() -> None:
    drop_privileges(str(os.geteuid()), str(os.getegid()))
    drop_privileges(None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the mode of a socket means nothing")
@pytest.mark.parametrize(("mask", "mode"), [("007", 0o770), ("22", 0o755)])
def test_the_umask_holds_for_unix_sockets(tmp_path: Path, mask: str, mode: int) -> None:
    with supervised(tmp_path, "--unix", str(tmp_path / "http"), "--umask", mask, ready=False) as server:
        server.wait_for("unix:")
        assert stat.S_IMODE((tmp_path / "http").stat().st_mode) == mode
