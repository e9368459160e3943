"""`--pid`, `--user` and `--group`: who the server is to the system."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firstbyte.errors import ConfigurationError


@contextmanager
def pid_file(place: str | None) -> Iterator[None]:
    """Holds the number of this process in a file. Raises ConfigurationError if a running process has it already."""
    if place is None:
        yield
        return
    path = Path(place)
    other = _running_process(path)
    if other is not None:
        raise ConfigurationError(f"--pid: process {other} of {path} is running")
    try:
        path.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise ConfigurationError(f"--pid: {path} cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        try:
            path.unlink(missing_ok=True)
        except PermissionError:
            pass  # of a user that this process is no more; the next start sees that nobody has the number


def drop_privileges(user: str | None, group: str | None) -> None:
    """Makes this process that of another user and group, by their names or numbers, for good.

    Raises ConfigurationError for names that do not exist, and if the process is not root's.
    """
    if user is None and group is None:
        return
    import grp  # here, since there are none on Windows
    import pwd

    try:
        entry = None if user is None else pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        raise ConfigurationError(f"--user: there is no user {user}") from None
    try:
        named = None if group is None else grp.getgrgid(int(group)) if group.isdecimal() else grp.getgrnam(group)
    except KeyError:
        raise ConfigurationError(f"--group: there is no group {group}") from None
    gid = named.gr_gid if named is not None else entry.pw_gid if entry is not None else os.getegid()
    if (os.geteuid(), os.getegid()) == (os.geteuid() if entry is None else entry.pw_uid, gid):
        return
    if os.geteuid() != 0:
        raise ConfigurationError("--user and --group: only root can become another user")
    if entry is None:
        os.setgroups([gid])
    else:
        os.initgroups(entry.pw_name, gid)
    os.setgid(gid)
    if entry is not None:
        os.setuid(entry.pw_uid)
        os.environ.update(HOME=entry.pw_dir, USER=entry.pw_name, LOGNAME=entry.pw_name)
        os.environ.pop("XDG_RUNTIME_DIR", None)  # another user's


def _running_process(path: Path) -> int | None:
    """The process whose number is in the file, if it runs."""
    try:
        pid = int(path.read_text())
        os.kill(pid, 0)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None
    except PermissionError:
        pass  # it runs, as another user
    return pid
