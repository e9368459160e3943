"""The demo's app, and a server of it, each with a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from firstbyte import App, Server
from firstbyte.demo.tasks import create_app


@pytest.fixture
def app(tmp_path: Path) -> App:
    return create_app(tmp_path / "tasks.sqlite3")


@pytest.fixture
def server(app: App) -> Iterator[Server]:
    with Server(app, port=0) as server:
        yield server
