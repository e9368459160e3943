"""A file that came in a form: its facts, its bytes, and how it is saved."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO, cast

from firstbyte.http.filenames import names_from, safe_name
from firstbyte.http.headers import Headers
from firstbyte.http.media import MediaType


class UploadedFile:
    """A file of a form, whole. It is closed when the answer is sent: what is to outlive the request, `save`.

    `name` is that of the form's field, `filename` what the client calls the file ("" if nothing): any text at all,
    never a path. `headers` are the part's own, `size` is in bytes, `file` has the content, in memory while it is short
    and else in a temporary file; reading it is the caller's, from where the last one stopped.
    """

    __slots__ = ("file", "filename", "headers", "name", "size")

    def __init__(self, name: str, filename: str, headers: Headers, in_memory: int = 0) -> None:
        self.name = name
        self.filename = filename
        self.headers = headers
        self.size = 0
        # A size of 0 would mean that nothing ever goes to the disk.
        self.file = cast("BinaryIO", tempfile.SpooledTemporaryFile(max(in_memory, 1), prefix="firstbyte-"))

    @property
    def media_type(self) -> MediaType | None:
        """What the client says that it is, which may be wrong; None where it says nothing or nonsense."""
        return media_type_of(self.headers)

    def read(self) -> bytes:
        """The whole content, in memory, from its first byte."""
        self.file.seek(0)
        return self.file.read()

    def save(self, target: str | os.PathLike[str]) -> Path:
        """Copies the content to a file, and returns that.

        `target` is the path of the file, which is replaced if there is one; or a folder that exists, in which the file
        gets the client's name, made safe (`safe_name`; "upload" if nothing is left of it) and free: no file in a folder
        is ever replaced. The name appears with the last byte: whatever happens before leaves nothing. Raises OSError.
        """
        path = Path(target)
        is_folder = path.is_dir()
        part = (path if is_folder else path.parent) / f".{secrets.token_hex(8)}.part"
        try:
            with part.open("xb") as file:
                self.file.seek(0)
                shutil.copyfileobj(self.file, file)
            if not is_folder:
                return part.replace(path)
            for name in names_from(safe_name(self.filename) or "upload"):
                try:
                    (path / name).touch(exist_ok=False)
                except FileExistsError:
                    continue
                return part.replace(path / name)  # the name is ours since `touch`, also where others save meanwhile
        finally:
            part.unlink(missing_ok=True)
        raise AssertionError("names do not end")

    def close(self) -> None:
        """Throws the content away, and the temporary file with it."""
        self.file.close()

    def __repr__(self) -> str:
        return f"<UploadedFile {self.name!r}, {self.filename!r}, {self.size} bytes>"


def media_type_of(headers: Headers) -> MediaType | None:
    """The media type that a Content-Type says, or None where there is none or a malformed one."""
    value = headers.get("content-type")
    if value is None:
        return None
    try:
        return MediaType.parse(value)
    except ValueError:
        return None
