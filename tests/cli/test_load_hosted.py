"""Finding WSGI applications by a name on the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstbyte.cli.load import load_app
from firstbyte.errors import AppLoadError
from firstbyte.hosts.wsgi import WSGI

MODULE = """
from wsgiref.validate import validator

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"x"]

def create(): return app
def create_nothing(): return 3
def create_badly(): raise OSError("no database")

class Site:
    def __call__(self, environ, start_response): return app(environ, start_response)

class Current:
    def __getattr__(self, name): raise RuntimeError("outside of a request")

site, current, validated = Site(), Current(), validator(app)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, which has the module `hosted`."""
    (tmp_path / "hosted.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield tmp_path
    sys.modules.pop("hosted", None)


@pytest.mark.parametrize("name", ["hosted", "hosted:app", "hosted:site", "hosted.py:app"])
def test_the_interface_is_found(name: str) -> None:
    assert isinstance(load_app(name), WSGI)


def test_the_interface_is_said() -> None:
    with pytest.raises(AppLoadError, match="--interface wsgi"):
        load_app("hosted:validated")
    assert isinstance(load_app("hosted:validated", "wsgi"), WSGI)
    with pytest.raises(AppLoadError, match="no Handler"):
        load_app("hosted:app", "native")
    with pytest.raises(AppLoadError, match="str, which cannot be called"):
        load_app("hosted:__name__", "wsgi")


def test_a_factory() -> None:
    assert isinstance(load_app("hosted:create", factory=True), WSGI)
    with pytest.raises(AppLoadError, match="since it is int"):
        load_app("hosted:create_nothing", factory=True)
    with pytest.raises(AppLoadError, match="hosted:create_badly cannot make the app: OSError: no database"):
        load_app("hosted:create_badly", factory=True)
    with pytest.raises(AppLoadError, match="is str, but a factory is a function"):
        load_app("hosted:__name__", factory=True)


def test_what_could_have_been_meant() -> None:
    with pytest.raises(AppLoadError, match="hosted has no 'application': did you mean hosted:site\\?"):
        load_app("hosted:application")


def test_several_processes_are_told() -> None:
    for told in (True, False):
        host = load_app("hosted", multiprocess=told)
        assert isinstance(host, WSGI)
        assert host.environs.constants["wsgi.multiprocess"] is told
