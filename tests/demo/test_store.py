"""Tasks in SQLite: their rules, their threads, their file."""

from __future__ import annotations

import gc
import os
import re
import sqlite3
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstbyte.demo.store import TITLE_MAX, InvalidTask, Task, TaskStore
from firstbyte.errors import ConfigurationError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tasks.sqlite3"


@pytest.fixture
def store(file: Path) -> Iterator[TaskStore]:
    store = TaskStore(file)
    yield store
    store.close()


def test_a_task_from_its_making_to_its_end(store: TaskStore) -> None:
    task = store.add("  write it down\n")
    assert (task.id, task.title, task.done) == (1, "write it down", False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", task.created)
    assert store.get(1) == task
    assert store.change(1, done=True) == Task(1, "write it down", True, task.created)
    assert store.change(1, title=" cross it out ") == Task(1, "cross it out", True, task.created)
    assert store.change(1, done=False) == store.get(1) == store.all()[0]
    assert store.remove(1)
    assert store.all() == []
    assert store.count() == 0


def test_what_is_not_there(store: TaskStore) -> None:
    for id in (0, -1, 7, 10**17):
        assert store.get(id) is store.change(id, done=True) is None
        assert not store.remove(id)


def test_an_id_is_never_given_twice(store: TaskStore) -> None:
    store.add("first")
    store.remove(1)
    assert store.add("second").id == 2


@pytest.mark.parametrize(
    "title", ["x", "x" * TITLE_MAX, f"  {'ü' * TITLE_MAX}  ", "🐍" * TITLE_MAX, "a\0b", "<b>", "'; --"]
)
def test_titles(store: TaskStore, title: str) -> None:
    assert store.add(title).title == title.strip()
    assert [task.title for task in store.all()] == [title.strip()]


@pytest.mark.parametrize("title", ["", " \t\n\u3000", "x" * (TITLE_MAX + 1), None, 7, True, b"x", ["x"]])
def test_what_is_no_title(store: TaskStore, title: object) -> None:
    store.add("before")
    with pytest.raises(InvalidTask, match="title must"):
        store.add(title)
    if title is not None:
        with pytest.raises(InvalidTask, match="title must"):
            store.change(1, title=title)
    assert [task.title for task in store.all()] == ["before"]


def test_many_threads_lose_nothing(store: TaskStore, file: Path) -> None:
    failures: list[Exception] = []

    def work(thread: int) -> None:
        try:
            for number in range(50):
                task = store.add(f"{thread} {number}")
                assert store.get(task.id) == task
                assert store.change(task.id, done=True) is not None
                store.count()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    tasks = store.all()
    assert sorted(task.title for task in tasks) == sorted(f"{n} {m}" for n in range(16) for m in range(50))
    assert [task.id for task in tasks] == list(range(1, 801))
    assert all(task.done for task in tasks)
    again = TaskStore(file)
    assert again.all() == tasks
    again.close()


def test_two_stores_of_one_file_see_each_other(store: TaskStore, file: Path) -> None:
    other = TaskStore(file)
    assert other.get(store.add("from one").id) is not None
    other.add("from the other")
    assert [task.title for task in store.all()] == ["from one", "from the other"]
    other.close()


def test_another_process_that_writes_is_waited_for(store: TaskStore, file: Path) -> None:
    writer = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    writer.execute("begin immediate")
    adding = threading.Thread(target=store.add, args=("after the other",))
    adding.start()
    writer.execute("insert into tasks (title, created) values ('the other', '')")
    writer.execute("commit")
    adding.join()
    writer.close()
    assert [task.title for task in store.all()] == ["the other", "after the other"]


def test_a_file_that_cannot_be_is_refused_with_its_name(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("this is no database, whatever its name says" * 100)
    other = tmp_path / "other.sqlite3"
    connection = sqlite3.connect(other)
    connection.execute("create table tasks (name text)")
    connection.close()
    for path in (tmp_path / "no" / "folder", tmp_path, text, other):
        with pytest.raises(ConfigurationError, match=re.escape(str(path))):
            TaskStore(path)


def test_one_connection_however_many_threads_and_none_left(tmp_path: Path) -> None:
    def held() -> int:
        """Number of descriptors of the database in this process."""
        links = [Path(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
        return sum("leak.sqlite3" in os.readlink(link) for link in links if link.is_symlink())

    store = TaskStore(tmp_path / "leak.sqlite3")
    first = store.add("one").id
    before = held()
    threads = [threading.Thread(target=store.get, args=(first,)) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held() == before > 0
    gone = weakref.ref(store)
    del store, threads, thread
    gc.collect()
    assert gone() is None
    assert held() == 0  # the finalizer closed it
    store = TaskStore(tmp_path / "leak.sqlite3")
    store.close()
    store.close()
    assert held() == 0


def test_a_program_that_just_ends_leaves_no_warning_and_no_log(tmp_path: Path) -> None:
    program = (
        "import sys; from firstbyte.demo.tasks import create_app; from firstbyte import Request;"
        "app = create_app(sys.argv[1]); request = Request.build('POST', '/tasks', body=b'{\"title\": \"x\"}');"
        "print(app.resolve(request).call(request).status)"
    )
    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program, str(tmp_path / "t.sqlite3")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "201\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["t.sqlite3"]  # the last one to close folds the log in
