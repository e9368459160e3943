"""The examples, as their readers run them."""

from __future__ import annotations

import runpy
from pathlib import Path

from firstbyte import App

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> App:
    """The app of examples/NAME.py, made anew."""
    app = runpy.run_path(str(EXAMPLES / f"{name}.py"))["app"]
    assert isinstance(app, App)
    return app
