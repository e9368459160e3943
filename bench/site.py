"""The folder that the file servers serve: files of known bytes, made when they are first needed."""

import os
from pathlib import Path

CHANGED = 1_704_067_200  # Mon, 01 Jan 2024 00:00:00 GMT
CHANGED_DATE = "Mon, 01 Jan 2024 00:00:00 GMT"
SIZES = {"4k.bin": 4 << 10, "64k.bin": 64 << 10, "10m.bin": 10 << 20}


def content(name: str) -> bytes:
    """The bytes of a file: all values, so that no server finds anything in them."""
    return bytes(range(256)) * (SIZES[name] // 256)


def make(folder: Path) -> Path:
    """The folder with its files, all of the same age."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in SIZES.items():
        path = folder / name
        if not path.exists() or path.stat().st_size != size:
            path.write_bytes(content(name))
        os.utime(path, (CHANGED, CHANGED))
    return folder
