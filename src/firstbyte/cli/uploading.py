"""The options of uploads to a folder that is served."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from firstbyte.cli.options import Size
from firstbyte.errors import ConfigurationError
from firstbyte.http.handler import Handler


@dataclass(frozen=True)
class Uploading:
    """What the options say; each field is the option of its name."""

    upload: bool = False
    overwrite: bool = False
    upload_limit: int | None = None
    upload_free: int | None = None

    def around(self, folder: Path, files: Handler) -> Handler:
        """`files`, which serves the folder, with uploads to it if they are wanted. Raises ConfigurationError."""
        if not self.upload:
            for name in ("overwrite", "upload_limit", "upload_free"):
                if getattr(self, name) not in (None, False):
                    raise ConfigurationError(f"--{name.replace('_', '-')} goes with --upload")
            return files
        from firstbyte.files.upload_store import UploadLimits  # here, since few want them
        from firstbyte.files.uploads import Uploads

        given = {"file_bytes": self.upload_limit, "free_bytes": self.upload_free}
        limits = UploadLimits(**{name: value for name, value in given.items() if value is not None})
        return Uploads(folder, files=files, limits=limits, overwrite=self.overwrite)


def upload_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: adds the options, which reach the command as one argument, `uploading`."""

    @functools.wraps(command)
    def run(**options: Any) -> Any:
        chosen = {name: options.pop(name) for name in Uploading.__dataclass_fields__}
        return command(uploading=Uploading(**chosen), **options)

    for each in reversed(_OPTIONS):
        run = each(run)
    return run


_OPTIONS = (
    click.option("--upload", is_flag=True, help="Take uploads: by the listing's page, with curl -T or -F, or tus."),
    click.option("--overwrite", is_flag=True, help="Let an upload take the place of a file of its name."),
    click.option(
        "--upload-limit", type=Size(), metavar="SIZE", show_default="none", help="The longest file that is taken."
    ),
    click.option(
        "--upload-free", type=Size(), metavar="SIZE", show_default="256M", help="What uploads leave free on the disk."
    ),
)
