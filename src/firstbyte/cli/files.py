"""The options of serving a folder; those of `python -m http.server` are written and mean the same."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from firstbyte.cli.options import Size
from firstbyte.cli.uploading import Uploading
from firstbyte.errors import ConfigurationError
from firstbyte.http.handler import Handler
from firstbyte.http.request import Request
from firstbyte.http.response import Response

if TYPE_CHECKING:
    from firstbyte.app.middleware import Middleware

PROGRAMS = ("cgi-bin", "htbin")  # the folders that --cgi runs programs of


@dataclass(frozen=True)
class Files:
    """What the options say; each field is the option of its name."""

    cgi: bool = False
    spa: bool = False
    clean_urls: bool = False
    no_listing: bool = False
    hidden: bool = False
    follow_links: bool = False
    cache: tuple[str, ...] = ()
    no_cache: bool = False
    header: tuple[str, ...] = ()
    mime: tuple[str, ...] = ()
    charset: str = "utf-8"
    no_compress: bool = False
    file_cache: int = 32 << 20
    cors: tuple[str, ...] = ()
    auth: tuple[str, ...] = ()
    protocol: str = "HTTP/1.1"

    def handler(self, folder: Path, uploading: Uploading) -> Handler:
        """What serves the folder. Raises ConfigurationError."""
        from firstbyte.files.pages import ErrorPages
        from firstbyte.files.policy import NO_CACHE, CacheRule, parse_header, parse_type
        from firstbyte.files.static import StaticFiles

        if not folder.is_dir():
            raise ConfigurationError(f"there is no folder {folder} to serve")
        if self.hidden and uploading.upload:
            raise ConfigurationError("--hidden would serve uploads that are not complete: leave it, or --upload, out")
        programs = [folder / name for name in PROGRAMS if self.cgi and (folder / name).is_dir()]
        if self.cgi and not programs:
            raise ConfigurationError(f"there are no programs to run: {folder} has neither a folder cgi-bin nor htbin")
        cache = [CacheRule("*", NO_CACHE)] if self.no_cache else [CacheRule.parse(text) for text in self.cache]
        static = partial(
            StaticFiles,
            folder,
            listing=not self.no_listing,
            without=programs,
            hidden=self.hidden,
            follow_links=self.follow_links,
            clean_urls=self.clean_urls,
            spa=self.spa,
            cache=cache,
            headers=[parse_header(text) for text in self.header],
            types=dict(parse_type(text) for text in self.mime),
            charset=self.charset,
            compress=not self.no_compress,
            memory=self.file_cache,
        )
        files = uploading.around(folder, static, programs)
        middleware = list(self._middleware())
        if not (middleware or programs):
            return ErrorPages(files)
        from firstbyte.app.application import App

        app = App()
        for each in middleware:
            app.middleware(each)
        for path in programs:
            from firstbyte.hosts.cgi import CGI

            app.mount(f"/{path.name}", CGI(path))
        app.mount("/", files)
        return app

    def _middleware(self) -> Iterator[Middleware]:
        """What goes around each answer, the outermost first."""
        if self.protocol == "HTTP/1.0":
            yield _close
        if self.cors:
            from firstbyte.batteries.cors import cors

            named = tuple(each.strip() for text in self.cors for each in text.split(","))
            # Before the password is asked for: the preflight of a browser has none.
            yield cors(*named, credentials=bool(self.auth) and "*" not in named)
        if self.auth:
            from firstbyte.batteries.basic_auth import basic_auth

            yield basic_auth(self.auth)


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


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: adds the options, which reach the command as one argument, `files`."""

    @functools.wraps(command)
    def run(**options: Any) -> Any:
        chosen = {each.name: options.pop(each.name) for each in fields(Files)}
        return command(files=Files(**chosen), **options)

    for each in reversed(_OPTIONS):
        run = each(run)
    return run


def _close(request: Request) -> Generator[None, Response, Response]:
    """What HTTP/1.0 means to a client: a connection for each request."""
    response = yield
    response.headers["Connection"] = "close"
    return response


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
