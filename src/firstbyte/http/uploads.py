"""What a form has brought: its fields, and its files, with their facts, their bytes and how they are saved."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from posixpath import splitext
from typing import BinaryIO

from firstbyte.http.filenames import names_from, safe_name
from firstbyte.http.headers import Headers
from firstbyte.http.media import MediaType, media_type_of
from firstbyte.http.multidict import MultiDict

_TRIES = 50  # numbers that are tried behind a name before one is drawn: a folder of image.jpg is not searched each time


class FormData(MultiDict[str]):
    """A form: itself the fields, in their order; `files` are the files. A file input that was left empty is neither."""

    __slots__ = ("files",)

    def __init__(self, fields: Iterable[tuple[str, str]] = (), files: Iterable[UploadedFile] = ()) -> None:
        super().__init__(fields)
        self.files: MultiDict[UploadedFile] = MultiDict((file.name, file) for file in files)

    def close(self) -> None:
        """Throws the files away; the engine has it done when the answer is sent."""
        for named in self.files.items():
            named[1].close()

    def __repr__(self) -> str:
        return f"FormData({self._pairs!r}, files={[file for _, file in self.files.items()]!r})"


class UploadedFile:
    """A file of a form, whole. It is closed when the answer is sent: what is to outlive the request, `save`.

    `name` is that of the form's field, `filename` what the client calls the file ("" if nothing): any text at all,
    never a path. `headers` are the part's own, `size` is in bytes, `file` has the content, in memory while it is short
    and else in a temporary file; reading it is the caller's, from where the last one stopped.
    """

    __slots__ = ("_in_memory", "file", "filename", "headers", "name", "size")

    def __init__(self, name: str, filename: str, headers: Headers, in_memory: int) -> None:
        self.name = name
        self.filename = filename
        self.headers = headers
        self.size = 0
        self.file: BinaryIO = io.BytesIO()
        self._in_memory = in_memory  # bytes that may stay there

    def add(self, piece: bytes) -> None:
        """Takes the next piece of the content. Raises OSError on a full disk."""
        self.size += len(piece)
        if self.size > self._in_memory and isinstance(self.file, io.BytesIO):
            import tempfile  # here, since it takes long to import

            file = tempfile.TemporaryFile(prefix="firstbyte-")  # noqa: SIM115 - `close` closes it
            file.write(self.file.getvalue())
            self.file = file
        self.file.write(piece)

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
        is_folder = path.is_dir() or os.fspath(target).endswith(os.sep)
        part = (path if is_folder else path.parent) / f".{os.urandom(8).hex()}.part"
        made = [part]
        with part.open("xb") as file:
            try:
                self.file.seek(0)
                from shutil import copyfileobj  # as above

                copyfileobj(self.file, file)
                file.close()
                if is_folder:
                    path = _reserve(path, safe_name(self.filename) or "upload")
                    made.append(path)
                return part.replace(path)
            except BaseException:
                for each in made:
                    each.unlink(missing_ok=True)
                raise

    def close(self) -> None:
        """Throws the content away, and the temporary file with it."""
        self.file.close()

    def __repr__(self) -> str:
        return f"<UploadedFile {self.name!r}, {self.filename!r}, {self.size} bytes>"


def _reserve(folder: Path, name: str) -> Path:
    """An empty file in the folder with that name or one like it: it is ours, also where others save meanwhile."""
    stem, ending = splitext(name)
    for free in (*islice(names_from(name), _TRIES), f"{stem}-{os.urandom(8).hex()}{ending}"):
        try:
            (folder / free).touch(exist_ok=False)
            return folder / free
        except FileExistsError:
            continue
    raise FileExistsError(f"{folder} has {name!r} under every name that was tried")
