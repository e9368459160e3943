"""Plugins: what can be one, and how one is found by the name that a package offers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.support import get
from firstbyte import App
from firstbyte.app.plugins import PluginInfo, available
from firstbyte.app.registration import Group
from firstbyte.errors import ConfigurationError


def hello(app: Group, name: str = "world") -> str:
    app.get("/hello")(lambda: f"hello {name}")
    return "installed"


class Hello:
    def install(self, app: Group, name: str = "object") -> None:
        hello(app, name)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that offers plugins."""
    info = tmp_path / "greeting-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greeting\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[firstbyte.plugins]\ngreeting = greeting_plugin:hello\nbroken = greeting_plugin:none\n"
    )
    (tmp_path / "greeting_plugin.py").write_text(
        "def hello(app, name='package'):\n    app.get('/hello')(lambda: name)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("plugin", "options", "body"),
    [(hello, {}, b"hello world"), (hello, {"name": "you"}, b"hello you"), (Hello(), {}, b"hello object")],
)
def test_functions_and_objects(plugin: Any, options: dict[str, Any], body: bytes) -> None:
    app = App()
    assert app.install(plugin, **options) == ("installed" if plugin is hello else None)
    assert get(app, "/hello") == (200, body)
    app = App()
    app.group("/g").install(plugin, **options)
    assert get(app, "/g/hello") == (200, body)


def test_by_name(package: Path) -> None:
    app = App()
    app.install("greeting", name="by name")
    assert get(app, "/hello") == (200, b"by name")
    assert PluginInfo("greeting", "greeting_plugin:hello", "greeting", "1.2") in available()


@pytest.mark.parametrize(
    ("plugin", "problem"),
    [
        ("none", r"offers the plugin 'none': there are .*greeting"),
        ("broken", r"'broken' \(greeting_plugin:none\) cannot be imported: AttributeError"),
        (5, "5 is no plugin"),
        (App, "is no plugin"),
        (lambda: None, r"the plugin .*<lambda> \(.*test_plugins.py:[0-9]+\) does not take .*: too many positional"),
    ],
)
def test_what_is_no_plugin(package: Path, plugin: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        App().install(plugin)
