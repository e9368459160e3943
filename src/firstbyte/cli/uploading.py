"""The options of uploads to a folder that is served."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from firstbyte.cli.options import Size
from firstbyte.errors import ConfigurationError
from firstbyte.http.handler import Handler

FREE = 256 << 20  # bytes


@dataclass(frozen=True)
class Uploading:
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
            for each in fields(self):
                if getattr(self, each.name) != each.default:
                    raise ConfigurationError(f"--{each.name.replace('_', '-')} goes with --upload")
            return files()
        from firstbyte.files.upload_page import upload_fragment
        from firstbyte.files.upload_store import UploadLimits  # here, since few want them
        from firstbyte.files.uploads import Uploads

        limits = UploadLimits(file_bytes=self.upload_limit or None, free_bytes=self.upload_free)
        served = files(siblings=False, listing_extra=upload_fragment())
        return Uploads(folder, files=served, limits=limits, overwrite=self.overwrite, without=without)


def upload_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: adds the options, which reach the command as one argument, `uploading`."""

    @functools.wraps(command)
    def run(**options: Any) -> Any:
        chosen = {each.name: options.pop(each.name) for each in fields(Uploading)}
        return command(uploading=Uploading(**chosen), **options)

    for each in reversed(_OPTIONS):
        run = each(run)
    return run


_OPTIONS = (
    click.option("--upload", is_flag=True, help="Take uploads: by the listing's page, with curl -T or -F, or tus."),
    click.option("--overwrite", is_flag=True, help="Let an upload take the place of a file of its name."),
    click.option(
        "--upload-limit", type=Size(), default=0, metavar="SIZE", help="The longest file that is taken; 0 for any."
    ),
    click.option(
        "--upload-free",
        type=Size(),
        default=FREE,
        metavar="SIZE",
        show_default="256M",
        help="What uploads leave free on the disk.",
    ),
)
