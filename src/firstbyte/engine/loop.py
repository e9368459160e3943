"""The loop driver: the reactor within an asyncio loop, for apps that have coroutines.

The reactor's poller is itself one descriptor that the loop watches: when any connection is ready, the loop calls the
reactor once for all of them. A coroutine is a Task whose first step is run at once, where its request was read; one
that does not wait is answered like any function, and one that does owns its connection until it is done (`Exchange`).

Functions among them run inline once they have proven fast, in a thread until then: no other thread can take a loop over
from a function that is slow after all. The watchdog names those that hold it up.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from functools import partial
from time import perf_counter
from types import CoroutineType
from typing import Any, NoReturn

from firstbyte._lazy import lazy_logger
from firstbyte.engine import upgrade
from firstbyte.engine.answers import check_body, failed_response, not_an_answer
from firstbyte.engine.connection import Connection
from firstbyte.engine.exchange import Exchange, Reply, Silence, exchange_of
from firstbyte.engine.first_step import FirstSteps, Left, Outcome, Walk, next_step
from firstbyte.engine.lifespan import Lifespan
from firstbyte.engine.loops import new_loop
from firstbyte.engine.pool import Pool
from firstbyte.engine.reactor import Reactor
from firstbyte.engine.sending import SocketSender
from firstbyte.engine.states import CLOSED
from firstbyte.engine.trial import Trial
from firstbyte.engine.watchdog import Watchdog
from firstbyte.errors import ClientDisconnected, ClientError, ConfigurationError
from firstbyte.http.handler import SLOW, Answered, Endpoint, lifespan_of
from firstbyte.http.request import Request
from firstbyte.http.response import LiveBody, Response
from firstbyte.waiting import Begun, Wait, watchers

logger = lazy_logger("firstbyte.engine")

_NOT_CALLED = object()
HURRY = 0.02  # seconds between two looks at whether a stop is over


class LoopDriver(Pool):
    """Runs a reactor in a loop of its own, and at most `threads` threads for functions that are not fast.

    `warn_blocking` is how long, in seconds, one step may hold the loop up before it is named in the log.
    """

    def __init__(self, reactor: Reactor, threads: int, loop: str = "auto", warn_blocking: float = 0.1) -> None:
        super().__init__(threads)
        if reactor.fileno < 0:
            raise ConfigurationError("async def needs epoll or kqueue, which this system does not have")
        self._reactor = reactor
        reactor.driver = self
        self._loop = new_loop(loop)
        self._warn_blocking = warn_blocking
        self._over: asyncio.Future[None] | None = None
        self._until: Callable[[], bool] = bool
        self._first_steps: FirstSteps  # once it runs
        self._starts = self._start  # bound once, not for every request
        self._sweep: asyncio.TimerHandle | None = None
        self._running: Endpoint | None = None  # whose function, or whose coroutine's first step, runs now
        # Those whose coroutine has suspended.
        self._exchanges: dict[asyncio.Future[None] | Walk | Trial | None, Exchange] = {}
        self._ended: list[Reply] = []  # of coroutines, to be sent together
        self.hurry = False  # `until` is to be asked again and again, since time may answer it

    # -- what connections ask for (see reactor.Driver)

    def call(self, connection: Connection, request: Request, endpoint: Endpoint) -> Response | None:
        """See `Driver.call`."""
        if endpoint.is_async:
            if connection.busy:  # a thread has read this request behind one of its own
                self._loop.call_soon_threadsafe(self._guarded, connection, self._call_again, request, endpoint)
                return None
            self._reactor.send_before(endpoint)
            return self._begin(connection, request, endpoint)
        if connection.busy:
            return self._run(connection, request, endpoint)
        pace = endpoint.pace
        reads_body = endpoint.streams_body and connection.reader.in_body
        if not reads_body and (pace.is_proven_fast or (endpoint.streams_body and pace.seconds < SLOW)):
            self._running = endpoint
            self._reactor.send_before(endpoint)
            response = self._run(connection, request, endpoint)
            self._running = None
            return response
        if self._reactor.hooks.queued is not None and self.busy >= self._limit:
            self._reactor.hooks.queued(connection, request)
        self.enqueue(connection, connection.answer, request, endpoint)
        return None

    def detach(self, connection: Connection) -> bool:
        """See `Driver.detach`: the loop's thread never may block, the others always may."""
        return connection.busy

    def enqueue(self, connection: Connection, work: Callable[..., None], *arguments: object) -> None:
        """See `Driver.enqueue`."""
        connection.busy = True
        self.give(connection, work, *arguments)

    def about_to_block(self, connection: Connection) -> None:
        """See `Driver.about_to_block`: a function that waits for its body is in a thread already."""

    def _run(self, connection: Connection, request: Request, endpoint: Endpoint) -> Response | None:
        """Calls a function in this thread; None if the server has stopped meanwhile."""
        hooks = self._reactor.hooks
        if hooks.handler_started is not None:
            hooks.handler_started(connection, request, endpoint)
        if endpoint.sends:
            request.sender = SocketSender(self._reactor, connection, request)
        start = perf_counter()
        try:
            response = endpoint.call(request)
            if type(response) is not Response and not isinstance(response, Response):
                raise not_an_answer(response)
            if type(response.body) is not bytes:
                check_body(request, response)
        except BaseException:  # whatever it is, the thread is needed
            response = failed_response(request, endpoint)
        endpoint.pace.count(perf_counter() - start)
        if hooks.handler_ended is not None:
            hooks.handler_ended(connection, request, response)
        if connection.state == CLOSED:
            response.close()
            request.close_body()
            return None
        return response

    # -- coroutines

    def _begin(self, connection: Connection, request: Request, endpoint: Endpoint) -> Response | None:
        """Runs the coroutine up to where it first waits; its answer if that is its end."""
        if self._reactor.hooks.handler_started is not None:
            self._reactor.hooks.handler_started(connection, request, endpoint)
        reply = Reply()
        task: asyncio.Task[Any] | Walk | None
        self._running = endpoint
        if endpoint.attempt is not None:
            request.peer = tried = exchange_of(self._reactor, connection, request, endpoint)
            trial = Trial(self, tried, endpoint.attempt(request))
            made = trial.step()
            if made is None:
                self._running = None
                tried.task = trial
                self._exchanges[trial] = tried
                return None
            task, error = self._go_on(tried, reply, made)
        else:
            if endpoint.streams_body:
                request.peer = exchange_of(self._reactor, connection, request, endpoint)
            start = perf_counter()
            task, error = self._first_steps.call(self._starts, (connection, request, endpoint, reply))
            endpoint.pace.count(perf_counter() - start)
        self._running = None
        response = reply.response
        exchange = connection.owner
        if task is None and (exchange is None or error is not None or response is not None):
            request.peer = connection.owner = None
            connection.busy = False
            if error is not None:
                self._log(error, connection, request)
                connection.close("request cancelled")
                request.close_body()
                return None
            self._tell_ended(connection, request, response)
            if response is not None and connection.state == CLOSED:  # by early hints that found nobody
                response.close()
                return None
            return response
        if exchange is None:
            exchange = exchange_of(self._reactor, connection, request, endpoint)
        self._follow(exchange, reply, task)
        return None

    def _follow(self, exchange: Exchange, reply: Reply, task: asyncio.Task[None] | Walk | None) -> None:
        """Goes on when a task has ended, of which a walk tells by itself, and `_answer` where it is in a Task.

        None is for one whose answer is sent: then when whoever reads from the connection now is through.
        """
        done: Any = task
        if task is None:
            done = self._loop.create_future()
            done.set_result(None)
        exchange.task = task
        self._exchanges[done] = exchange
        if not isinstance(task, Walk):
            if done.done():
                self._finish_with(exchange, reply, done)
            else:
                reply.exchange = exchange

    def _finish_with(self, exchange: Exchange, reply: Reply, done: Any) -> None:
        """Goes on when this future tells that it is done."""
        done.add_done_callback(partial(self._guarded, exchange.connection, self._finish, exchange, reply))

    def tried(self, trial: Trial) -> None:
        """Tries again an endpoint that had to wait, or learns that it was cancelled."""
        self._guarded(trial.exchange.connection, self._try_again, trial.exchange, trial)

    def _try_again(self, connection: Connection, exchange: Exchange, trial: Trial) -> None:
        reply = Reply()
        task: asyncio.Task[Any] | Walk | None = None
        error: BaseException | None = trial.cancelled
        if error is None:
            self._running = exchange.endpoint
            made = trial.step()
            if made is not None:
                task, error = self._go_on(exchange, reply, made)
            self._running = None
            if made is None:
                return
        del self._exchanges[trial]
        if task is None:
            self._end(connection, exchange, reply, error)
        else:
            self._follow(exchange, reply, task)

    def _go_on(self, exchange: Exchange, reply: Reply, made: Any) -> Outcome:
        """Goes on with what an endpoint has made that was tried."""
        if type(made) is Answered and _is_plain(made.response):
            reply.response = made.response
            return None, None
        connection, request, endpoint = exchange.connection, exchange.request, exchange.endpoint
        wakes = partial(self._guarded, connection, self._walk_on, exchange, reply)
        return Walk(self._first_steps, self._answer(connection, request, endpoint, reply, made), wakes).step()

    def _walk_on(self, connection: Connection, exchange: Exchange, reply: Reply, wait: Wait) -> None:
        """Runs the next step of a coroutine without a Task."""
        walk: Any = exchange.task
        self._running = exchange.endpoint
        task, error = walk.step()
        self._running = None
        if task is walk:
            return
        del self._exchanges[walk]
        if task is None:
            self._end(connection, exchange, reply, error)
        else:
            self._follow(exchange, reply, task)

    def _start(self, argument: tuple[Connection, Request, Endpoint, Reply]) -> Left | None:
        """Calls the endpoint, and gives what is left to be done: mostly nothing, and then no coroutine is made."""
        connection, request, endpoint, reply = argument
        made: Any
        try:
            made = endpoint.call(request)
            if type(made) is CoroutineType:
                made = Begun(made)
        except BaseException as error:
            made = _raising(error)
        response: Any = None  # where it waits
        if type(made) is Answered:
            response = made.response
        elif type(made) is Begun:
            response = made.value
        if isinstance(response, Response) and _is_plain(response):
            reply.response = response
            return None
        rest = self._answer(connection, request, endpoint, reply, made)
        return rest if type(made) is Begun and not made.is_over else next_step(rest.__await__())

    async def _answer(
        self, connection: Connection, request: Request, endpoint: Endpoint, reply: Reply, made: Any = _NOT_CALLED
    ) -> None:
        """The coroutine of each Task: calls the endpoint, and sends a body that is given by an async generator.

        Any other response is its reply's, to be sent. `made` is what the endpoint gave if it has been called.
        """
        try:
            try:
                if made is _NOT_CALLED:
                    made = endpoint.call(request)
                response: Response = made.response if type(made) is Answered else await made
                if type(response) is not Response and not isinstance(response, Response):
                    raise not_an_answer(response)
            except asyncio.CancelledError:
                raise
            except BaseException:
                if connection.lost:
                    raise  # it was told that the client has left
                response = failed_response(request, endpoint)
            if response.status == 101 and getattr(response.body, "is_async", False):
                if connection.begin_body(request, response):
                    session: Any = response.body
                    await upgrade.run(self._reactor, connection, request, endpoint, session)
            elif type(response.body) is not bytes and hasattr(response.body, "__anext__"):
                await self._stream(connection, request, response, endpoint)
            else:
                reply.response = response
        except BaseException:
            if reply.exchange is not None:
                self._finish_with(reply.exchange, reply, reply.exchange.task)
            raise
        if reply.exchange is not None:
            self._leave(reply.exchange, reply)

    def _leave(self, exchange: Exchange, reply: Reply) -> None:
        """In the last step of a Task: has the connection go on in the loop's next turn, with those of all others.

        That is when a Task tells that it is done, but each by itself: those that timers wake together would be sent one
        by one, and each would wake its client.
        """
        task: Any = exchange.task
        if task.cancelling():  # only when it is over can be said how it has ended
            self._finish_with(exchange, reply, task)
            return
        if not self._ended:
            self._loop.call_soon(self._finish_all, context=self._first_steps.context)
        self._ended.append(reply)

    def _finish_all(self) -> None:
        ended, self._ended = self._ended, []
        reactor = self._reactor
        reactor.gathers = len(ended) > 1
        try:
            for reply in ended:
                exchange = reply.exchange
                assert exchange is not None  # it was in a Task
                try:
                    del self._exchanges[exchange.task]
                    self._end(exchange.connection, exchange, reply, None)
                except Exception:
                    _failed(exchange.connection)
        finally:
            reactor.gathers = False
        reactor.send()

    async def _stream(self, connection: Connection, request: Request, response: Response, endpoint: Endpoint) -> None:
        exchange = connection.owner or exchange_of(self._reactor, connection, request, endpoint)
        body: Any = response.body
        is_live = isinstance(body, LiveBody)
        waits = is_live and body.waits
        silence: Silence | None = None
        try:
            if connection.state != CLOSED and connection.begin_body(request, response):
                if is_live:
                    silence = exchange.attend(body)
                async for piece in body:
                    # an empty piece is a wish that what there is be sent, if only the head
                    went = connection.push(piece) if piece else connection.flush()
                    if not (went or waits):
                        await exchange.writable()
                    if silence is not None:
                        silence.broken()
                connection.end_body(body.trailers if is_live else None)
            if is_live and body.lingers:
                self._loop.call_soon(self._guarded, connection, self._release, exchange)
        except ClientDisconnected:
            exchange.close("client left")
        except ClientError as error:  # of whom the pieces are had from, who has told of it
            logger.info("the answer to %s %s is broken off: %s", request.method, request.target, error)
            _break_off(exchange)
        except Exception:
            logger.exception("the answer to %s %s is broken off", request.method, request.target)
            _break_off(exchange)
        finally:
            if silence is not None:
                silence.end()
            await body.aclose()

    def _call_again(self, connection: Connection, request: Request, endpoint: Endpoint) -> None:
        connection.busy = False
        response = self._begin(connection, request, endpoint)
        if response is not None:
            connection.respond(request, response)

    def _release(self, connection: Connection, exchange: Exchange) -> None:
        """The answer is complete, its coroutine is not: the connection goes on without it."""
        if connection.owner is exchange:
            exchange.release()
            connection.advance()

    def _finish(self, connection: Connection, exchange: Exchange, reply: Reply, done: asyncio.Future[None]) -> None:
        """The task of a coroutine has ended."""
        del self._exchanges[done]
        self._end(connection, exchange, reply, asyncio.CancelledError() if done.cancelled() else done.exception())

    def _end(self, connection: Connection, exchange: Exchange, reply: Reply, error: BaseException | None) -> None:
        """A coroutine has ended after it had waited: the connection goes on."""
        response = reply.response if error is None else None
        exchange.request.peer = exchange.task = None  # which know each other
        if error is not None:
            self._log(error, connection, exchange.request)
        if self._reactor.draining:
            self._ask()
        if exchange.released:
            return
        if error is None:
            self._tell_ended(connection, exchange.request, response)
        connection.owner = None
        if connection.state != CLOSED:
            connection.busy = False
            if error is not None or connection.lost:
                connection.close("client left" if connection.lost else "request cancelled")
            elif response is None:
                connection.advance()
            else:
                connection.respond(exchange.request, response)
                return
        if response is not None:
            response.close()
        exchange.request.close_body()

    def _log(self, error: BaseException, connection: Connection, request: Request) -> None:
        """Tells what ended a coroutine without an answer, unless that is a cancellation or the client that has left."""
        if not (connection.lost or isinstance(error, asyncio.CancelledError)):
            logger.error("%s %s failed", request.method, request.target, exc_info=error)

    def _tell_ended(self, connection: Connection, request: Request, response: Response | None) -> None:
        if response is not None and self._reactor.hooks.handler_ended is not None:
            self._reactor.hooks.handler_ended(connection, request, response)

    def _guarded(self, connection: Connection, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(connection, *arguments)
        except Exception:
            _failed(connection)

    # -- the loop

    @property
    def unfinished(self) -> int:
        """Number of coroutines that run, whether their answers are sent or not, and of threads of their own."""
        return len(self._exchanges) + len(self._apart)

    def run(self, until: Callable[[], bool], ready: Callable[[], None]) -> None:
        """Runs the loop until `until` says so; it is asked each time something wakes the driver.

        `ready` is called when the handler's lifespan has begun. Raises StartupError if it does not.
        """
        self._until = until
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(ready))

    async def _serve(self, ready: Callable[[], None]) -> None:
        loop = self._loop
        self._reactor.background.use(loop)
        self._over = loop.create_future()
        lifespan = Lifespan(lifespan_of(self._reactor.handler))
        self._ask()
        if not await lifespan.start(self._over):
            return  # told to stop before
        try:
            with Watchdog(loop, self._warn_blocking, self._who):
                self._first_steps = FirstSteps(loop)
                loop.add_reader(self._reactor.fileno, self._turn)
                watchers[loop] = self._reactor
                try:
                    ready()
                    loop.call_soon(self._turn)  # not in this task, since coroutines begin in theirs
                    self._ask()
                    await self._over
                finally:
                    del watchers[loop]
                    loop.remove_reader(self._reactor.fileno)
                    self._first_steps.close()
        finally:
            await lifespan.stop(self._reactor.timeouts.drain)

    def _turn(self) -> None:
        reactor = self._reactor
        reactor.turn(wait=False)
        ready = reactor.ready
        while ready:
            reactor.give()
        reactor.send()
        if self._sweep is None:
            patience = reactor.patience
            if patience >= 0:
                self._sweep = self._loop.call_later(patience, self._on_sweep)

    def _on_sweep(self) -> None:
        self._sweep = None
        self._turn()

    def _ask(self) -> None:
        over = self._over
        if over is None or over.done():
            return
        if self._until():
            over.set_result(None)
        elif self.hurry:
            self._loop.call_later(HURRY, self._ask)

    def wake(self) -> None:
        """Asks `until` again; from any thread or signal handler."""
        try:
            self._loop.call_soon_threadsafe(self._ask)
        except RuntimeError:
            pass  # the loop is closed: it is over

    def stop(self) -> bool:
        """Ends the threads that are not in a handler; those are left to end with the process. True if none is left."""
        if not self._loop.is_closed():
            self._loop.close()
        return self.end_threads()

    def _who(self) -> Endpoint | None:
        """The endpoint that holds the loop now; asked by the watchdog's thread."""
        if self._running is not None:
            return self._running
        exchange = self._exchanges.get(asyncio.current_task(self._loop))
        return None if exchange is None else exchange.endpoint


def _failed(connection: Connection) -> None:
    logger.exception("a connection failed in the loop")
    connection.close("internal error")


def _is_plain(response: Response) -> bool:
    return type(response) is Response and type(response.body) is bytes


async def _raising(error: BaseException) -> NoReturn:
    raise error


def _break_off(exchange: Exchange) -> None:
    """Ends an answer that is not whole: with a reset, for a client of HTTP/1.0 to whom its end would be that of the
    body."""
    if not exchange.request.minor and exchange.connection.ends.scheme == "http":
        exchange.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.close("response broken off")
