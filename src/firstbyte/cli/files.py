"""How a folder is served, as its options say."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from firstbyte.cli.uploading import Uploading
from firstbyte.errors import ConfigurationError
from firstbyte.http.handler import Handler
from firstbyte.http.request import Request
from firstbyte.http.response import OCTETS, Response

if TYPE_CHECKING:
    from firstbyte.app.middleware import Middleware

PROGRAMS = ("cgi-bin", "htbin")  # the folders that --cgi runs programs of


class Files(NamedTuple):
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
    content_type: str = OCTETS
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
            default_type=self.content_type,
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

            app.mount(f"/{path.name}", CGI(path, documents=path.parent))
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


def _close(request: Request) -> Generator[None, Response, Response]:
    """What HTTP/1.0 means to a client: a connection for each request."""
    response = yield
    response.headers["Connection"] = "close"
    return response
