"""The thread driver: fast handlers run inline, slow ones lose the wheel.

One thread at a time, the leader, turns the reactor and runs handlers right where their request was read: no queue, no
wake-up. Before it runs what is known to be slow it gives the wheel to a follower and becomes an ordinary thread. What
was thought to be fast and is not is caught by the monitor, which takes the wheel from the leader in mid-handler.

Whether the leader still has the wheel when its handler returns is settled by one atomic act: it puts a token in its own
deque before the call, and both it and the monitor try to take that token out. Only one can.

Answers that come out of one turn are sent together, behind the last: each would wake a client by itself. They wait for
calls alone that are known to be over soon; before any other the leader sends them, and what it has put off when it
loses the wheel the next leader sends first of all.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, sleep

from firstbyte._lazy import lazy_logger
from firstbyte.engine._sys import Waker
from firstbyte.engine.answers import check_body, failed_response, not_an_answer
from firstbyte.engine.connection import Connection
from firstbyte.engine.pool import Pool, Worker
from firstbyte.engine.reactor import Reactor
from firstbyte.engine.sending import SocketSender
from firstbyte.engine.states import CLOSED
from firstbyte.engine.stepping import stepped
from firstbyte.http.handler import PROVEN, SLOW, Endpoint, lifespan_of
from firstbyte.http.request import Request
from firstbyte.http.response import FileBody, Response

logger = lazy_logger("firstbyte.engine")

TICK = 0.002  # seconds between two looks of the monitor: a handler that is caught has held the wheel for up to two
ALERT_TICK = 0.0003  # the same while surprises are frequent: then it pays to look more often
ALERT = 3000  # looks that the monitor stays alert for after it has caught a handler: about a second
DOZE = 25  # ticks without a request after which the monitor sleeps until the next one
PACE_CAP = 0.004  # seconds that one call counts for at most: a rare slow call must not make a fast endpoint slow


class ThreadDriver(Pool):
    """Runs a reactor with one leader and at most `threads` threads that are in handlers."""

    def __init__(self, reactor: Reactor, threads: int) -> None:
        super().__init__(threads + 1)
        self._reactor = reactor
        reactor.driver = self
        self._leader: Worker | None = None
        self._calls = 0  # inline handlers begun; tells the monitor one call from the next
        self._dozing = False
        self._bell = Waker()  # wakes the monitor; no Event, since a signal handler that sets one can deadlock
        self.hurry = False  # the monitor is to ask `until` at every tick, since time may answer it

    # -- what connections ask for (see reactor.Driver)

    def call(self, connection: Connection, request: Request, endpoint: Endpoint) -> Response | None:
        """See `Driver.call`."""
        pace = endpoint.pace
        leader = None
        if not connection.busy:  # then this thread leads
            if pace.seconds < SLOW and not self._is_risky(connection, endpoint):
                if self._is_exhausted():
                    self._reactor.send()  # nobody could, should the call be slow for once
                else:
                    self._reactor.send_before(endpoint)
                leader = self._leader
                assert leader is not None  # it is this thread
                connection.busy = True
                self._calls += 1
                leader.token.append(connection)
                if self._dozing:
                    self._bell.wake()
            elif not self.detach(connection):
                if self._reactor.hooks.queued is not None:
                    self._reactor.hooks.queued(connection, request)
                self.enqueue(connection, connection.answer, request, endpoint)
                return None
        hooks = self._reactor.hooks
        if hooks.handler_started is not None:
            hooks.handler_started(connection, request, endpoint)
        if endpoint.sends:
            request.sender = SocketSender(self._reactor, connection, request)
        start = perf_counter()
        try:
            answer = endpoint.call(request)
            if not isinstance(answer, Response):
                raise not_an_answer(answer)
            response = answer
            if type(response.body) is not bytes and not isinstance(response.body, FileBody):
                check_body(request, response)
        except BaseException:  # whatever it is, the thread is needed
            response = failed_response(request, endpoint)
        elapsed = perf_counter() - start
        pace.calls += 1
        pace.seconds += ((elapsed if elapsed < PACE_CAP else PACE_CAP) - pace.seconds) * 0.125
        if hooks.handler_ended is not None:
            hooks.handler_ended(connection, request, response)
        if leader is not None:
            try:
                leader.token.pop()
            except IndexError:
                pass  # the monitor was faster: another thread leads, and the connection stays this thread's
            else:
                connection.busy = False
                return response
        if connection.state == CLOSED:  # the server has stopped and did not wait for this handler
            response.close()
            request.close_body()
            return None
        return response

    def detach(self, connection: Connection) -> bool:
        """See `Driver.detach`."""
        if connection.busy:
            return True
        follower = self._follower()
        if follower is None:
            return False
        self._reactor.send()
        connection.busy = True
        self._give_wheel(follower)
        return True

    def about_to_block(self, connection: Connection) -> None:
        """See `Driver.about_to_block`."""
        leader = self._leader
        assert leader is not None
        if connection not in leader.token:
            return  # this thread does not lead
        follower = self._follower()
        if follower is None:
            return
        self._take_wheel(leader, follower)

    def enqueue(self, connection: Connection, work: Callable[..., None], *arguments: object) -> None:
        """See `Driver.enqueue`."""
        connection.busy = True
        self.leave(connection, work, *arguments)

    def _is_risky(self, connection: Connection, endpoint: Endpoint) -> bool:
        """Whether an endpoint is not to be tried inline.

        It is going to wait for its body for the first time; or it may, or its pace is unknown, and no thread is left to
        take the wheel.
        """
        waits = endpoint.streams_body and connection.reader.in_body
        if endpoint.pace.calls >= PROVEN and not waits:
            return False
        if waits and not endpoint.pace.calls:
            return True
        return self._is_exhausted()

    def _is_exhausted(self) -> bool:
        """Whether no thread is left to take the wheel."""
        return not self._idle and len(self._workers) >= self._limit

    # -- threads

    def _give_wheel(self, follower: Worker) -> None:
        self._leader = follower
        follower.baton.release()

    def _take_wheel(self, leader: Worker, follower: Worker) -> None:
        """Makes `follower` lead unless the leader's handler has returned just now. Either way the leader will know."""
        try:
            leader.token.pop()
        except IndexError:
            self._idle.append(follower)
            if self._backlog:  # left while this thread was set aside
                self._rouse()
        else:
            self._give_wheel(follower)

    def _lead(self, me: Worker) -> None:
        """Turns the reactor for as long as this thread has the wheel."""
        if self._leader is not me:
            return
        reactor = self._reactor
        ready = reactor.ready
        reactor.send()  # what the leader before has put off
        while not self._stopping:
            if not ready:
                reactor.send()
                reactor.turn()
            while ready:
                reactor.give()
                if self._leader is not me:
                    return  # the new leader goes on with what is left in `ready`, and not sent
        reactor.send()

    # -- the monitor: the thread that called `run`

    def run(self, until: Callable[[], bool], ready: Callable[[], None]) -> None:
        """Runs the reactor, and watches its leader, until `until` says so; it is asked each time the monitor wakes.

        `ready` is called when the handler's lifespan has begun. Raises StartupError if it does not.
        """
        with stepped(lifespan_of(self._reactor.handler)):
            first = self._follower()
            if first is None:
                raise RuntimeError("the operating system gives the server no thread")
            ready()
            self._give_wheel(first)
            self._watch(until)

    def _watch(self, until: Callable[[], bool]) -> None:
        seen = -1
        quiet = alert = 0
        while not until():
            leader = self._leader
            assert leader is not None
            quiet = quiet + 1 if self._calls == seen else 0
            if leader.token:
                if quiet:
                    follower = self._follower()
                    if follower is not None:
                        self._take_wheel(leader, follower)
                        alert = ALERT
                quiet = 0
            seen = self._calls
            if alert:
                alert -= 1
                sleep(ALERT_TICK)
            elif quiet <= DOZE or self.hurry:
                sleep(TICK)  # cheaper than waiting for the bell, which can wait a tick
            else:
                self._dozing = True
                if not leader.token:  # looked at after saying so: a leader that begins now rings the bell
                    self._bell.wait()
                self._dozing = False

    def wake(self) -> None:
        """Makes the monitor ask `until` again; from any thread or signal handler."""
        self._bell.wake()

    def stop(self) -> bool:
        """Ends every thread that is not in a handler; those are left to end with the process. True if none is left."""
        self._stopping = True
        self._reactor.submit(lambda: None)
        ended = self.end_threads()
        if ended:
            self._bell.close()
        return ended

    @property
    def busy(self) -> int:
        """Number of threads that are in handlers: all that are not idle, but the leader."""
        return max(0, super().busy - 1)
