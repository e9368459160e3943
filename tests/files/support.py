"""A folder that takes uploads, in an app."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from firstbyte import App, Response
from firstbyte.files.uploads import Uploads


def app_of(root: Path, **options: Any) -> App:
    app = App()
    app.mount("/", Uploads(root, **options))
    return app


def said(response: Response) -> Any:
    """What an answer in JSON says."""
    assert isinstance(response.body, bytes)
    return msgspec.json.decode(response.body)


def names(root: Path) -> set[str]:
    """Every file below the root, partial ones too."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() and path.name != ".naming"}
