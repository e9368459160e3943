"""Folders in an app: served, and taking uploads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from firstbyte import App, Response
from firstbyte.files.static import StaticFiles
from firstbyte.files.uploads import Uploads


def app_of(root: Path, **options: Any) -> App:
    """A folder that takes uploads, in an app."""
    app = App()
    app.mount("/", Uploads(root, **options))
    return app


def folder_of(root: Path, prefix: str = "/", **options: Any) -> App:
    """A folder that is served, in an app."""
    app = App()
    app.mount(prefix, StaticFiles(root, **options))
    return app


def said(response: Response) -> Any:
    """What an answer in JSON says."""
    assert isinstance(response.body, bytes)
    return msgspec.json.decode(response.body)


def names(root: Path) -> set[str]:
    """Every file below the root, partial ones too."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() and path.name != ".naming"}
