"""Tasks in SQLite, safe under many threads."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec

TITLE_MAX = 200  # characters

_SCHEMA = """
create table if not exists tasks (
    id integer primary key autoincrement,
    title text not null,
    done integer not null default 0,
    created text not null
)
"""


class Task(msgspec.Struct):
    """One task; `created` is a time in RFC 3339, UTC."""

    id: int
    title: str
    done: bool
    created: str


class TaskStore:
    """The tasks in one database file, made if it is not there.

    One connection behind a lock: SQLite writes one transaction at a time anyway, and each takes microseconds.
    """

    def __init__(self, database: str | Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(database, check_same_thread=False, isolation_level=None, timeout=10)
        self._connection.execute("pragma journal_mode = wal")  # readers of the file do not wait for its writer
        self._connection.execute(
            "pragma synchronous = normal"
        )  # safe with a write-ahead log, and a fsync less each time
        self._connection.execute(_SCHEMA)

    def all(self) -> list[Task]:
        """Every task, the oldest first."""
        return self._select("select id, title, done, created from tasks order by id")

    def get(self, id: int) -> Task | None:  # noqa: A002 - the column's name
        """The task of that id, or None."""
        found = self._select("select id, title, done, created from tasks where id = ?", id)
        return found[0] if found else None

    def count(self) -> int:
        """Number of tasks."""
        with self._lock:
            return int(self._connection.execute("select count(*) from tasks").fetchone()[0])

    def add(self, title: str) -> Task:
        """Makes a task."""
        created = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        with self._lock:
            cursor = self._connection.execute("insert into tasks (title, created) values (?, ?)", (title, created))
            return Task(cursor.lastrowid or 0, title, False, created)

    def change(self, id: int, title: str | None, done: bool | None) -> Task | None:  # noqa: A002
        """Changes what is not None; the task as it is then, or None if there is none."""
        changed = self._select(
            "update tasks set title = coalesce(?, title), done = coalesce(?, done) where id = ? "
            "returning id, title, done, created",
            title,
            done,
            id,
        )
        return changed[0] if changed else None

    def remove(self, id: int) -> bool:  # noqa: A002
        """Removes a task; False if there was none."""
        with self._lock:
            return self._connection.execute("delete from tasks where id = ?", (id,)).rowcount == 1

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._connection.close()

    def _select(self, sql: str, *values: object) -> list[Task]:
        with self._lock:
            rows = self._connection.execute(sql, values).fetchall()
        return [Task(id, title, bool(done), created) for id, title, done, created in rows]  # noqa: A001
