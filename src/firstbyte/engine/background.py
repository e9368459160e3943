"""What runs beside requests (`Request.after`, `App.every`): functions in a few threads, coroutines in the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firstbyte._lazy import lazy_logger
from firstbyte.engine.pool import Pool
from firstbyte.errors import HTTPError
from firstbyte.http.services import Job

if TYPE_CHECKING:
    import asyncio

logger = lazy_logger("firstbyte.engine")

THREADS = 8  # functions at once: they must not take the threads of requests
UNFINISHED = 1000  # jobs that have not ended, beyond which no more are taken


class Background:
    """Runs jobs. Without a loop, a coroutine has one made for it, in a thread. What a job raises is logged."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool = Pool(THREADS)
        self._tasks: set[asyncio.Task[Any]] = set()  # a reference keeps them alive
        self._unfinished: set[Job] = set()

    @property
    def unfinished(self) -> int:
        """Number of jobs that have not ended, those among them that have not begun."""
        return len(self._unfinished)

    def use(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs coroutines there from now on."""
        self._loop = loop

    def take(self, job: Job) -> None:
        """Counts a job that is to be started. Raises HTTPError 503 while too many have not ended."""
        if len(self._unfinished) >= UNFINISHED:
            raise HTTPError(503, f"{UNFINISHED} jobs behind answers have not ended yet", {"Retry-After": "5"})
        self._unfinished.add(job)

    def start(self, job: Job) -> None:
        """Has a job run, from any thread."""
        self._unfinished.add(job)
        if job.is_async and self._loop is not None:
            self._loop.call_soon_threadsafe(self._start_task, self._loop, job)
        else:
            self._pool.give(None, self._run, job)

    def end(self) -> bool:
        """Ends the threads that run nothing, and names the jobs that have not ended; those end with the process.

        True if none is left.
        """
        for job in list(self._unfinished):
            logger.error("%s has not ended before the server did", job.name)
        return self._pool.end_threads()

    def _run(self, job: Job) -> None:
        try:
            if job.is_async:
                from asyncio import run  # here, since it takes long to import

                job.context.run(run, job.call())
            else:
                job.context.run(job.call)
        except Exception:
            logger.exception("%s failed in the background", job.name)
        finally:
            self._unfinished.discard(job)
            job.after()

    def _start_task(self, loop: asyncio.AbstractEventLoop, job: Job) -> None:
        task = loop.create_task(self._awaited(job), context=job.context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _awaited(self, job: Job) -> None:
        try:
            await job.call()
        except Exception:
            logger.exception("%s failed in the background", job.name)
        finally:
            self._unfinished.discard(job)
            job.after()
