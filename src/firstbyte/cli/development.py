"""For development: `--reload`, with a page that says why while the app cannot be imported, and `--live`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from firstbyte._lazy import lazy_logger
from firstbyte.errors import ConfigurationError
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.request import Request
from firstbyte.http.response import Response

if TYPE_CHECKING:
    import subprocess

logger = lazy_logger("firstbyte.reload")

PATIENCE = 5.0  # seconds that the watcher has to end by itself


class Broken:
    """In the place of an app that cannot be imported: answers whatever is asked with the reason and the traceback."""

    def __init__(self, reason: str, trace: str) -> None:
        self._reason = reason
        self._trace = trace
        self._endpoint = Endpoint(self._answer, name="import failed", streams_body=True)

    def resolve(self, request: Request) -> Endpoint:
        """See `Handler.resolve`."""
        return self._endpoint

    def _answer(self, request: Request) -> Response:
        from firstbyte.app.pages import import_failed_response  # here, as the imports below: for development alone

        return import_failed_response(request, self._reason, self._trace)


def explaining(load: Callable[[], Handler]) -> Callable[[], Handler]:
    """`load`, but what it raises becomes a handler that tells of it."""

    def load_or_explain() -> Handler:
        sys.dont_write_bytecode = True  # files are told apart by size and second: two changes within one would be lost
        try:
            return load()
        except (Exception, SystemExit) as error:
            import traceback

            ours = isinstance(error, ConfigurationError)
            reason = str(error) if ours else f"{type(error).__name__}: {error}"
            trace = getattr(error, "traceback", "") if ours else "".join(traceback.format_exception(error))
            logger.error("%s%s; a page says so until it can be", trace, reason)
            return Broken(reason, trace)

    return load_or_explain


def folders_of(app: str) -> list[str]:
    """What to watch for the app of that name: the folder of its file, or the current one, where its module is."""
    place = app.rpartition(":")[0] if ":" in app else app
    return [str(Path(place).parent)] if place.endswith(".py") else ["."]


def with_live(handler: Handler, *folders: str | Path) -> Handler:
    """The handler, whose open pages are loaded again when a file in the folders changes. Raises ConfigurationError."""
    from firstbyte.files.live import Live  # here, since asyncio takes long to import

    return Live(handler, *folders)


@contextmanager
def watching(folders: Sequence[str], control: Callable[[], Path]) -> Iterator[Callable[[], None]]:
    """Gives a function that starts a process which has the server at `control` reload when a file in `folders` changes.

    The process ends with this one. Raises ConfigurationError where the extra "reload" is not installed.
    """
    import subprocess
    from importlib.util import find_spec

    if find_spec("watchfiles") is None:
        raise ConfigurationError("--reload needs watchfiles: pip install firstbyte[reload]")
    for folder in folders:
        if not Path(folder).is_dir():
            raise ConfigurationError(f"--reload-dir: there is no folder {folder}")
    watchers: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [sys.executable, "-m", "firstbyte.cli.watch", str(control().absolute()), *folders]
        watchers.append(subprocess.Popen(command, stdin=subprocess.PIPE))  # noqa: S603

    try:
        yield start
    finally:
        for watcher in watchers:
            assert watcher.stdin is not None
            watcher.stdin.close()  # that is how it sees the end
            try:
                watcher.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                watcher.kill()
                watcher.wait()


_: Callable[[str, str], Handler] = Broken
