"""Live reload: pages that are open load again, or change their style sheets, when files change."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from time import time
from typing import Any

import msgspec

from firstbyte._lazy import lazy_logger
from firstbyte.errors import ConfigurationError
from firstbyte.files.after import After
from firstbyte.http.around import Around
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.headers import Headers
from firstbyte.http.media import media_type_of
from firstbyte.http.request import Request
from firstbyte.http.response import FileBody, LiveBody, Response

logger = lazy_logger("firstbyte.live")

_SCRIPT = "/.firstbyte/live.js"  # hidden names are never files that are served
_EVENTS = "/.firstbyte/live"
_QUIET = 15.0  # seconds after which a comment shows whether the page is still there
_REMEMBERED = 256  # changes that are known to a page that was away
_PIECE = 64 * 1024
_PARTIAL = (204, 206, 304)  # statuses of answers that are no whole page
_PAGES = ("document", "iframe", "frame", "embed", "object")
"""Destinations of requests (Sec-Fetch-Dest) for what may be a page."""


class Live(Around):
    """A handler around another, whose pages load again when a file in one of the folders changes.

    Where nothing but style sheets has changed that a page links to, they are put in the place of the old ones. Pages
    are told by server-sent events, to which they listen by a script: its element is put at the end of every answer that
    is text/html and asked for as a page, on its way and nowhere else. Such answers are sent without content coding and
    never stored; all others are asked for anew by `Cache-Control: no-cache`. Hidden files and what watchfiles takes for
    no sources are not looked at, nor are those of Python (`--reload` is for them).

    For development. Raises ConfigurationError if there is no such folder, or the extra "reload" is not installed.
    """

    def __init__(self, handler: Handler, *folders: str | Path) -> None:
        try:
            from watchfiles import awatch
        except ImportError:
            raise ConfigurationError("live reload needs watchfiles: pip install firstbyte[reload]") from None
        for folder in folders:
            if not Path(folder).is_dir():
                raise ConfigurationError(f"there is no folder {folder} to watch")
        super().__init__(handler)
        self._watch = awatch
        self._handler = handler
        self._folders = [Path(folder).resolve() for folder in folders]
        self._changes = Changes()
        self._after = After(self._told)
        self._script = Endpoint(_answer_script, name="live reload's script", streams_body=True)
        self._events = Endpoint(self._answer_events, name="live reload", is_async=True, streams_body=True)

    is_async = True  # a page that listens costs no thread

    @property
    def debug(self) -> bool:
        """That of the inner handler, if it has one."""
        return bool(self._handler.debug)  # type: ignore[attr-defined]

    @debug.setter
    def debug(self, value: bool) -> None:
        self._handler.debug = value  # type: ignore[attr-defined]

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Watches the folders, within the inner handler's lifespan (see `Handler`)."""
        async with super().lifespan():
            over = asyncio.Event()
            watching = asyncio.create_task(self._look(over))
            try:
                yield
            finally:
                over.set()
                await watching

    def resolve(self, request: Request) -> Endpoint:
        """See `Handler.resolve`."""
        if request.raw_path == _SCRIPT:
            return self._script
        if request.raw_path == _EVENTS:
            return self._events
        if _wants_page(request):
            _ask_for_all(request)
        return self._after.around(self._handler.resolve(request))

    async def _look(self, over: asyncio.Event) -> None:
        try:
            async for changes in self._watch(*self._folders, watch_filter=self._filter(), stop_event=over):
                self._changes.add(sorted({Path(path).name for _, path in changes}))
        except (OSError, RuntimeError) as error:  # most often that no more files can be watched
            logger.error("live reload has ended: %s", error)

    def _filter(self) -> Any:
        from watchfiles import DefaultFilter

        usual = DefaultFilter()

        def concerns(change: Any, path: str) -> bool:
            folder = next((each for each in self._folders if Path(path).is_relative_to(each)), None)
            if folder is None or any(part.startswith(".") for part in Path(path).relative_to(folder).parts):
                return False
            return not path.endswith((".py", ".part", ".tmp")) and usual(change, path)

        return concerns

    async def _answer_events(self, request: Request) -> Response:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        since = request.headers.get("last-event-id") or request.query.get("since")
        return Response(self._tell(request, since), 200, headers, "text/event-stream")

    async def _tell(self, request: Request, since: str | None) -> AsyncIterator[str]:
        """What has changed and what will, until the page is left or the server stops."""
        over = asyncio.Event()
        if request.peer is not None:
            request.peer.when_draining(over.set)
        try:
            known = float(since or "")
        except ValueError:
            known = time()
        yield "retry: 500\n\n"
        while not over.is_set():
            at, names = self._changes.since(known)
            if at > known:
                known = at
                yield f"id: {at!r}\ndata: {msgspec.json.encode(names).decode()}\n\n"
            elif not await self._changes.wait(over):
                yield ":\n\n"

    def _told(self, request: Request, response: Response) -> Response:
        """An answer that is not taken from a cache, with the script if it is a page."""
        if request.method not in ("GET", "HEAD"):
            return response
        headers = response.headers
        media_type = media_type_of(headers)
        is_page = (
            media_type is not None and media_type.essence == "text/html" and response.status not in (204, 206, 304)
        )
        closed = "content-encoding" in headers or "sandbox" in (headers.get_joined("content-security-policy") or "")
        if not is_page or closed or not _wants_page(request):
            if headers.get("cache-control") != "no-store":
                headers["Cache-Control"] = "no-cache"
            return response
        for name in ("ETag", "Last-Modified", "Accept-Ranges", "Content-Digest", "Repr-Digest"):
            del headers[name]  # each answer is one of its own: it knows when it was given
        headers["Cache-Control"] = "no-store"
        tag = f'<script src="{request.root_path}{_SCRIPT}" data-since="{time()!r}"></script>\n'.encode()
        length = _length(response)
        if length is not None:
            headers["Content-Length"] = str(length + len(tag))
        if request.method == "GET":
            _append(response, tag)
        elif length is not None:
            response.close()
            response.body = b""
        return response


class Changes:
    """What has changed, and when, in seconds since the epoch: a page knows by when it was made what it has missed.

    Times, and not numbers, since several workers may answer one page, and each sees the same changes.
    """

    def __init__(self) -> None:
        self._forgotten = time()  # what was until then is not known
        self._changes: deque[tuple[float, list[str]]] = deque()
        self._more = asyncio.Event()

    def add(self, names: list[str]) -> None:
        """Files of these names have changed."""
        if len(self._changes) == _REMEMBERED:
            self._forgotten, _ = self._changes.popleft()
        self._changes.append((time(), names))
        self._more.set()
        self._more = asyncio.Event()

    def since(self, known: float) -> tuple[float, list[str]]:
        """The time of the last change, and the names of all after `known`; none if it is not known which they are."""
        last = self._changes[-1][0] if self._changes else self._forgotten
        if known < self._forgotten:
            return last, []
        return last, sorted({name for at, names in self._changes if at > known for name in names})

    async def wait(self, over: asyncio.Event) -> bool:
        """Returns when something has changed, or it is over; False if nothing was for a while."""
        waiters = [asyncio.ensure_future(each.wait()) for each in (self._more, over)]
        try:
            done, _ = await asyncio.wait(waiters, timeout=_QUIET, return_when=asyncio.FIRST_COMPLETED)
            return bool(done)
        finally:
            for each in waiters:
                each.cancel()


def _wants_page(request: Request) -> bool:
    """Whether the answer may be shown as a page. Over plain HTTP from another machine, browsers do not say."""
    return request.headers.get("sec-fetch-dest", "document") in _PAGES


def _ask_for_all(request: Request) -> None:
    """Leaves out what would be answered with less than a whole page, or with one that nothing can be added to."""
    headers = request.headers
    if "text/html" not in (headers.get_joined("accept") or ""):
        return
    for name in ("Accept-Encoding", "If-None-Match", "If-Modified-Since", "If-Range", "Range"):
        del headers[name]
    request.head = b""  # which has them still


def _length(response: Response) -> int | None:
    """How many bytes an answer has, if that is known."""
    given = response.headers.get("content-length")  # a HEAD's may have no body
    if given is not None:
        return int(given)
    if isinstance(response.body, FileBody):
        return response.body.count
    return len(response.body) if isinstance(response.body, bytes) else None


def _append(response: Response, tag: bytes) -> None:
    """Puts the element behind all that the answer has: there every browser takes it for a part of the page."""
    body: Any = response.body
    if isinstance(body, bytes):
        response.body = body + tag
    elif isinstance(body, FileBody):
        response.body = _And(iter(lambda: body.read(_PIECE), b""), body, tag)
    elif isinstance(body, Iterator):
        response.body = _And(body, body, tag)
    elif hasattr(body, "__anext__"):
        response.body = _AsyncAnd(body, tag)


class _And:
    """The pieces of a body and one more; closes what they come from."""

    def __init__(self, pieces: Iterator[bytes], source: Any, last: bytes) -> None:
        self._pieces = chain(pieces, (last,))
        self._source = source

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except StopIteration:
            self.close()
            raise

    def close(self) -> None:
        """Ends what the pieces come from."""
        close = getattr(self._source, "close", None)
        if close is not None:
            close()


class _AsyncAnd(LiveBody):
    """`_And` of an asynchronous body, which it is in all else."""

    def __init__(self, body: Any, last: bytes) -> None:
        self._body = body
        self._last: bytes | None = last

    @property
    def trailers(self) -> Headers | None:
        """See `LiveBody`."""
        return self._body.trailers if isinstance(self._body, LiveBody) else None

    @property
    def waits(self) -> bool:
        """See `LiveBody`."""
        return isinstance(self._body, LiveBody) and self._body.waits

    @property
    def lingers(self) -> bool:
        """See `LiveBody`."""
        return isinstance(self._body, LiveBody) and self._body.lingers

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece: bytes = await anext(self._body)
            return piece
        except StopAsyncIteration:
            last, self._last = self._last, None
            if last is None:
                raise
            return last

    async def aclose(self) -> None:
        """Ends what the pieces come from."""
        await self._body.aclose()


def _answer_script(request: Request) -> Response:
    return Response(_script(), 200, {"Cache-Control": "no-cache"}, "text/javascript")


@cache
def _script() -> str:
    return Path(__file__).with_name("assets").joinpath("live.js").read_text("utf-8")


_: Callable[..., Handler] = Live
