"""`--reload`: what is edited is served, and what cannot be imported is explained."""

from __future__ import annotations

import http.client
import importlib.util
from pathlib import Path

import pytest

from browsing import Chromium
from engine.supervised import PROGRAM, Supervised, supervised, wait_until
from engine.support import WAIT
from firstbyte.cli.development import Broken, explaining, folders_of, watching
from firstbyte.errors import AppLoadError, ConfigurationError
from firstbyte.http.request import Request


def ask(server: Supervised, path: str = "/", accept: str = "text/html") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT)
    connection.request("GET", path, headers={"Accept": accept})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def test_a_change_is_served_and_an_error_is_explained_until_it_is_gone(tmp_path: Path) -> None:
    with supervised(tmp_path, "--workers", "1", "--reload") as server:
        wait_until(lambda: is_watched(server))
        server.program.write_text(PROGRAM + "app.add_route('/new', lambda: 'new')\n")
        wait_until(lambda: ask(server, "/new") == (200, "new"))
        server.wait_for(r"changed: .*program\.py")

        server.program.write_text(PROGRAM + "raise ValueError('<b>oh</b>')\n")
        wait_until(lambda: "ValueError: &lt;b&gt;oh&lt;/b&gt;" in ask(server)[1])
        page = ask(server)[1]
        assert "<b>oh" not in page
        assert "program.py&quot;, line 9, in &lt;module&gt;" in page
        assert "ValueError: <b>oh</b>" in ask(server, "/any/where", accept="*/*")[1]
        server.wait_for("ValueError: <b>oh</b>; a page says so until it can be")

        server.program.write_text(PROGRAM)
        wait_until(lambda: ask(server)[0] == 200)
        assert server.stop() == 0


def is_watched(server: Supervised) -> bool:
    """Whether the watcher is at work: it tells of a change to a file that is there for that."""
    probe = server.program.with_name("probe.py")
    probe.write_text(probe.read_text() + "#" if probe.exists() else "#")
    return any("probe.py" in line for line in server.said)


def test_an_app_that_cannot_be_imported_from_the_start_is_explained(tmp_path: Path) -> None:
    with supervised(tmp_path, "--workers", "1", "--reload", program="1 / 0") as server:
        assert "ZeroDivisionError" in ask(server)[1]
        assert server.stop() == 0


def test_what_a_load_raises() -> None:
    def load() -> Broken:
        raise AppLoadError("it is not there", "Traceback\n")

    def leave() -> Broken:
        raise SystemExit(3)

    for each, text in ((load, "Traceback\nit is not there\n"), (leave, "SystemExit: 3\n")):
        handler = explaining(each)()
        request = Request.build("POST", "/")
        response = handler.resolve(request).call(request)
        assert (response.status, response.headers["Cache-Control"]) == (500, "no-store")
        body = response.body
        assert isinstance(body, bytes)
        assert body.decode().endswith(text)


@pytest.mark.parametrize(
    ("app", "folder"),
    [("shop:app", "."), ("shop", "."), ("site/shop.py:app", "site"), ("shop.py", "."), ("the tasks demo", ".")],
)
def test_the_folder_of_an_app(app: str, folder: str) -> None:
    assert folders_of(app) == [folder]


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(ConfigurationError, match="there is no folder none"), watching(["none"], Path):
        pass


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install firstbyte\[reload\]"), watching(["."], Path):
        pass


def test_the_page_leaves_by_itself(chromium: Chromium, tmp_path: Path) -> None:
    with supervised(tmp_path, "--workers", "1", "--reload", program="import none_such") as server:
        with chromium.page() as page:
            page.open(f"http://127.0.0.1:{server.port}/")
            assert "No module named 'none_such'" in page.evaluate("document.body.innerText")
            wait_until(lambda: is_watched(server))
            server.program.write_text(PROGRAM)
            page.wait_for("/^[0-9]+$/.test(document.body.innerText)")
        assert server.stop() == 0
