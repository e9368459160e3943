"""The options of uploads."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from app.support import ask
from firstbyte import App
from firstbyte.cli.uploading import Uploading
from firstbyte.errors import ConfigurationError
from firstbyte.files.static import StaticFiles


def test_what_they_make(tmp_path: Path) -> None:
    app = App()
    (tmp_path / "a.txt").write_text("old")
    chosen = Uploading(upload=True, overwrite=True, upload_limit=3)
    app.mount("/", chosen.around(tmp_path, partial(StaticFiles, tmp_path, listing=True)))
    assert ask(app, "PUT", "/a.txt", b"new").status == 200
    assert ask(app, "PUT", "/a.txt", b"newer").status == 413


def test_they_go_with_upload(tmp_path: Path) -> None:
    files = partial(StaticFiles, tmp_path)
    assert isinstance(Uploading().around(tmp_path, files), StaticFiles)
    for chosen, name in ((Uploading(overwrite=True), "--overwrite"), (Uploading(upload_limit=1), "--upload-limit")):
        with pytest.raises(ConfigurationError, match=f"{name} goes with --upload"):
            chosen.around(tmp_path, files)
