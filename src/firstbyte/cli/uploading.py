"""Uploads to a folder that is served, as its options say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from firstbyte.errors import ConfigurationError
from firstbyte.http.handler import Handler

FREE = 256 << 20  # bytes


class Uploading(NamedTuple):
    """What the options say; each field is the option of its name."""

    upload: bool = False
    overwrite: bool = False
    upload_limit: int = 0  # none
    upload_free: int = FREE

    def around(self, folder: Path, files: Callable[..., Handler], without: Sequence[Path] = ()) -> Handler:
        """What `files` makes to serve the folder, with uploads to it if they are wanted. Raises ConfigurationError.

        It is given the options of `StaticFiles` that uploads need. Nothing is uploaded to the folders `without`.
        """
        if not self.upload:
            for name, default in self._field_defaults.items():
                if getattr(self, name) != default:
                    raise ConfigurationError(f"--{name.replace('_', '-')} goes with --upload")
            return files()
        from firstbyte.files.upload_page import upload_fragment
        from firstbyte.files.upload_store import UploadLimits  # here, since few want them
        from firstbyte.files.uploads import Uploads

        limits = UploadLimits(file_bytes=self.upload_limit or None, free_bytes=self.upload_free)
        served = files(siblings=False, listing_extra=upload_fragment())
        return Uploads(folder, files=served, limits=limits, overwrite=self.overwrite, without=without)
