"""The options of serving a folder; those of `python -m http.server` are written and mean the same."""

from __future__ import annotations

from collections.abc import Sequence

import click

from firstbyte.cli.files import Files
from firstbyte.cli.option_groups import as_one
from firstbyte.cli.option_types import Size
from firstbyte.cli.uploading import FREE, Uploading
from firstbyte.http.response import OCTETS


class FolderCommand(click.Command):
    """A command whose --cors takes any number of origins behind it, and whose --header may be two words."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command`."""
        return super().parse_args(ctx, plain_arguments(args))


def plain_arguments(args: Sequence[str]) -> list[str]:
    """A command line with one value for each option: `--cors A B` becomes `--cors=A --cors=B`, and `-H NAME VALUE`,
    which is how `http.server` has it, `--header=NAME: VALUE`."""
    plain: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*plain, word, *rest]
        if word == "--cors":
            origins = []
            while rest and ("://" in rest[0] or rest[0] in ("*", "null")):
                origins.append(rest.pop(0))
            plain += [f"--cors={origin}" for origin in origins or ["*"]]
        elif word in ("-H", "--header") and rest:
            name = rest.pop(0)
            plain.append(f"--header={name}" if ":" in name or not rest else f"--header={name}: {rest.pop(0)}")
        else:
            plain.append(word)
    return plain


_OPTIONS = (
    click.option("--cgi", is_flag=True, help="Run the programs in its folders cgi-bin and htbin."),
    click.option(
        "--spa", is_flag=True, help="Send index.html to people who go where no file is: routes of its scripts."
    ),
    click.option("--clean-urls", is_flag=True, help="Serve about.html at /about, and redirect there."),
    click.option("--no-listing", is_flag=True, help="List no folders, and make no zip files of them."),
    click.option("--hidden", is_flag=True, help="Serve what begins with a dot too."),
    click.option("--follow-links", is_flag=True, help="Follow symbolic links that lead out of the folder."),
    click.option(
        "--cache",
        multiple=True,
        metavar="PATTERN=POLICY",
        help='Cache-Control by name or path, as "*.js=1y,immutable"; the first that fits holds.',
    ),
    click.option("--no-cache", is_flag=True, help="Have browsers ask each time. For development."),
    click.option(
        "-H", "--header", multiple=True, metavar='"NAME: VALUE"', help="Send this with every file; repeatable."
    ),
    click.option("--mime", multiple=True, metavar=".ENDING=TYPE", help="The media type of files; repeatable."),
    click.option(
        "--content-type",
        default=OCTETS,
        show_default=True,
        metavar="TYPE",
        help="The media type of files whose ending says none.",
    ),
    click.option("--charset", default="utf-8", show_default=True, help="The charset that text is said to be in."),
    click.option("--no-compress", is_flag=True, help="Compress nothing, and send no .br, .zst and .gz instead."),
    click.option(
        "--file-cache",
        type=Size(),
        default=32 << 20,
        show_default="32M",
        metavar="SIZE",
        help="Memory for small files.",
    ),
    click.option(
        "--cors",
        multiple=True,
        metavar="[ORIGIN...]",
        help="Let pages of these origins read what is served; of all, if none is named.",
    ),
    click.option(
        "--auth",
        multiple=True,
        metavar="USER:PASSWORD",
        help="Want a password; instead of it a hash of argon2 may stand. Repeatable.",
    ),
    click.option(
        "-p",
        "--protocol",
        type=click.Choice(["HTTP/1.0", "HTTP/1.1"]),
        default="HTTP/1.1",
        show_default=True,
        help="HTTP/1.0 closes the connection behind each answer.",
    ),
)

_UPLOAD_OPTIONS = (
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

file_options = as_one("files", Files, _OPTIONS)
"""Decorator: adds the options of a folder, which reach the command as `files`."""

upload_options = as_one("uploading", Uploading, _UPLOAD_OPTIONS)
"""Decorator: adds the options of uploads, which reach the command as `uploading`."""
