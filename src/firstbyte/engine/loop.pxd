import cython

from firstbyte._clock cimport perf_counter
from firstbyte.engine.connection cimport Connection
from firstbyte.engine.exchange cimport Exchange, Reply, exchange_of
from firstbyte.engine.first_step cimport FirstSteps, Walk, next_step
from firstbyte.engine.observer cimport Hooks
from firstbyte.engine.pool cimport Pool
from firstbyte.engine.reactor cimport Reactor
from firstbyte.engine.trial cimport Trial
from firstbyte.http.handler cimport Answered, Endpoint, Pace
from firstbyte.http.request cimport Request
from firstbyte.http.response cimport Response


cdef object _NOT_CALLED

cdef bint _is_plain(Response response) except -1


cdef class LoopDriver(Pool):
    cdef Reactor _reactor
    cdef public object _loop
    cdef object _warn_blocking
    cdef object _over
    cdef object _until
    cdef public FirstSteps _first_steps
    cdef object _starts
    cdef object _sweep
    cdef Endpoint _running
    cdef dict _exchanges
    cdef list _ended
    cdef public bint hurry

    @cython.locals(pace=Pace, reads_body=bint)
    cpdef call(self, Connection connection, Request request, Endpoint endpoint)
    cpdef bint detach(self, Connection connection) except -1
    @cython.locals(hooks=Hooks, start=double)
    cdef _run(self, Connection connection, Request request, Endpoint endpoint)
    @cython.locals(reply=Reply, response=Response, exchange=Exchange, tried=Exchange, trial=Trial, start=double)
    cdef _begin(self, Connection connection, Request request, Endpoint endpoint)
    cpdef tried(self, Trial trial)
    @cython.locals(reply=Reply)
    cpdef _try_again(self, Connection connection, Exchange exchange, Trial trial)
    @cython.locals(connection=Connection, request=Request, endpoint=Endpoint)
    cdef tuple _go_on(self, Exchange exchange, Reply reply, made)
    @cython.locals(connection=Connection, request=Request, endpoint=Endpoint, reply=Reply)
    cpdef _start(self, tuple argument)
    cdef _follow(self, Exchange exchange, Reply reply, task)
    cdef _finish_with(self, Exchange exchange, Reply reply, done)
    cdef _leave(self, Exchange exchange, Reply reply)
    @cython.locals(ended=list, reactor=Reactor, reply=Reply, exchange=Exchange)
    cpdef _finish_all(self)
    @cython.locals(response=Response)
    cdef _end(self, Connection connection, Exchange exchange, Reply reply, error)
    cdef _log(self, error, Connection connection, Request request)
    cdef _tell_ended(self, Connection connection, Request request, Response response)
