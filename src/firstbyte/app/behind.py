"""What runs behind answers (`Request.after`) under servers of another house, which know nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from firstbyte._lazy import lazy_logger
from firstbyte.errors import HTTPError
from firstbyte.http.headers import Headers
from firstbyte.http.services import Job

logger = lazy_logger("firstbyte.app")

THREADS = 8  # functions at once, in a process
UNFINISHED = 1000  # jobs that have not ended, in a process, beyond which no more are taken

_unfinished: set[Job] = set()
_executors: list[ThreadPoolExecutor] = []  # the one, when it has been needed: after the server has forked


class ForeignServices:
    """What a request may ask for; see `http.services.Services`. `hint` sends early hints where the server can."""

    def __init__(self, hint: Callable[[list[str]], None] = lambda links: None) -> None:
        self._hint = hint
        self._jobs: list[Job] = []

    def send_interim(self, status: int, fields: Headers) -> None:
        """See `Services`. No other is sent than 103."""
        if status == 103:
            self._hint(fields.get_all("link"))

    def after(self, job: Job) -> None:
        """See `Services`."""
        if len(_unfinished) >= UNFINISHED:
            raise HTTPError(503, f"{UNFINISHED} jobs behind answers have not ended yet", {"Retry-After": "5"})
        _unfinished.add(job)
        self._jobs.append(job)

    def start(self) -> None:
        """The answer is sent: has the jobs run in threads, for which a process that ends waits."""
        for job in self._jobs:
            if not _executors:
                _executors.append(ThreadPoolExecutor(THREADS, "firstbyte-behind"))
            future = _executors[0].submit(_run, job)
            future.add_done_callback(lambda future, job=job: _end(job, future))  # type: ignore[misc]

    async def run(self) -> None:
        """The answer is sent: runs the jobs, within the call of an ASGI server, which waits for that when it stops."""
        for job in self._jobs:
            try:
                if job.is_async:
                    await job.call()
                else:
                    from asyncio import to_thread  # here, since it takes long to import

                    await to_thread(job.context.run, job.call)
            except Exception:
                logger.exception("%s failed in the background", job.name)
            finally:
                _unfinished.discard(job)


def _run(job: Job) -> None:
    if job.is_async:
        from asyncio import run

        job.context.run(run, job.call())
    else:
        job.context.run(job.call)


def _end(job: Job, future: Future[None]) -> None:
    _unfinished.discard(job)
    error = future.exception()
    if error is not None:
        logger.error("%s failed in the background", job.name, exc_info=error)
