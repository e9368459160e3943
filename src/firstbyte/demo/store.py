"""Tasks in SQLite, safe under many threads."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from firstbyte.errors import ConfigurationError

TITLE_MAX = 200  # characters
_BUSY = 10.0  # seconds to wait for another process that writes to the file

_SCHEMA = """
create table if not exists tasks (
    id integer primary key autoincrement,
    title text not null,
    done integer not null default 0,
    created text not null
)
"""


class InvalidTask(ValueError):
    """What is no task: the message says which member is wrong, and what it must be."""


class Task(msgspec.Struct):
    """One task; `created` is a time in RFC 3339, UTC."""

    id: int
    title: str
    done: bool
    created: str


class TaskStore:
    """The tasks in one database file, made if it is not there; ":memory:" keeps them nowhere.

    One connection behind a lock, for any number of threads: SQLite writes one transaction at a time anyway, each takes
    some ten microseconds, and what is opened does not grow with the threads. It closes with `close`, or when nobody
    holds the store any more, at the latest when Python ends. Raises ConfigurationError for a file that holds no tasks.
    """

    def __init__(self, database: str | Path) -> None:
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(database, check_same_thread=False, isolation_level=None, timeout=_BUSY)
        except sqlite3.Error as error:
            raise ConfigurationError(f"the database {database} cannot be opened: {error}") from None
        # A finalizer, since an app has no moment at which it ends: Python 3.13 warns of connections left open.
        self._finalizer = weakref.finalize(self, self._connection.close)
        try:
            self._connection.execute("pragma journal_mode = wal")  # who reads the file does not wait for its writer
            self._connection.execute("pragma synchronous = normal")  # a crash cannot break a write-ahead log
            self._connection.execute(_SCHEMA)
            self._connection.execute("select id, title, done, created from tasks limit 0")
        except sqlite3.Error as error:
            self._finalizer()
            raise ConfigurationError(f"the database {database} cannot hold the tasks: {error}") from None

    def all(self) -> list[Task]:
        """Every task, the oldest first."""
        return self._tasks("select id, title, done, created from tasks order by id")

    def get(self, id: int) -> Task | None:  # noqa: A002 - the column's name
        """The task of that id, or None."""
        found = self._tasks("select id, title, done, created from tasks where id = ?", id)
        return found[0] if found else None

    def count(self) -> int:
        """Number of tasks."""
        with self._lock:
            return int(self._connection.execute("select count(*) from tasks").fetchone()[0])

    def add(self, title: object) -> Task:
        """Makes a task that is not done. Raises InvalidTask as `checked_title` does."""
        added = self._tasks(
            "insert into tasks (title, created) values (?, ?) returning id, title, done, created",
            checked_title(title),
            now(),
        )
        return added[0]

    def change(self, id: int, title: object = None, done: bool | None = None) -> Task | None:  # noqa: A002
        """Changes what is not None; the task as it is then, or None if there is none. Raises InvalidTask."""
        changed = self._tasks(
            "update tasks set title = coalesce(?, title), done = coalesce(?, done) where id = ? "
            "returning id, title, done, created",
            None if title is None else checked_title(title),
            done,
            id,
        )
        return changed[0] if changed else None

    def remove(self, id: int) -> bool:  # noqa: A002
        """Removes a task; False if there was none."""
        with self._lock:
            return self._connection.execute("delete from tasks where id = ?", (id,)).rowcount == 1

    def close(self) -> None:
        """Closes the database, once; nothing else may be called then."""
        with self._lock:
            self._finalizer()

    def _tasks(self, sql: str, *values: object) -> list[Task]:
        with self._lock:
            rows = self._connection.execute(sql, values).fetchall()
        return [Task(id, title, bool(done), created) for id, title, done, created in rows]  # noqa: A001


def checked_title(value: object) -> str:
    """A title without the blanks around it. Raises InvalidTask for what is no text, blank or past TITLE_MAX."""
    if not isinstance(value, str):
        raise InvalidTask("title must be a text")
    title = value.strip()
    if not title:
        raise InvalidTask("title must not be blank")
    if len(title) > TITLE_MAX:
        raise InvalidTask(f"title must have at most {TITLE_MAX} characters; this one has {len(title)}")
    return title


def now() -> str:
    """The time in RFC 3339, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
