"""Where options come from that are not on the command line: a file here, or variables of the environment."""

from __future__ import annotations

import os
import re
from pathlib import Path

PREFIX = "FIRSTBYTE_"
VARIABLE = "FIRSTBYTE_CONFIG"
FILE = "firstbyte.toml"
LAST_RESORT = "pyproject.toml"  # its table tool.firstbyte

# Variables that are no options: our own switches, and what Kubernetes sets for a service that is named firstbyte.
_NO_OPTIONS = re.compile(PREFIX + r"(CONFIG|PURE|REQUIRE_COMPILED|POLLER|SERVICE_\w+|PORT_\d+_\w+)")


def option_variables() -> dict[str, str]:
    """The variables of the environment that are to be options."""
    return {
        name: value for name, value in os.environ.items() if name.startswith(PREFIX) and not _NO_OPTIONS.fullmatch(name)
    }


def file_here() -> Path | None:
    """The file of options in the current folder; a pyproject.toml only if it may say something of us."""
    if Path(FILE).is_file():
        return Path(FILE)
    path = Path(LAST_RESORT)
    # Most of these files are none of our business, and then their errors are not either.
    return path if path.is_file() and b"firstbyte" in path.read_bytes() else None
