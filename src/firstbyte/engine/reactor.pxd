import cython

from firstbyte._clock cimport monotonic
from firstbyte.engine.connection cimport Connection
from firstbyte.engine.hub cimport Hub
from firstbyte.http.handler cimport Endpoint, Pace


# Compared for every event.
cdef int CLOSED, HEAD
cdef Py_ssize_t TOGETHER
cdef double HOLD
cdef long PROVEN


cdef class Reactor(Hub):
    cdef public object drained
    cdef public bint gathers
    cdef public list ready
    cdef public dict sources
    cdef bint _any_paused
    cdef dict _connections
    cdef list _listeners
    cdef object _poller
    cdef object _hand_back
    cdef double _tick
    cdef double _next_sweep
    cdef object _submitted
    cdef object _waker
    cdef list _unsent
    cdef double _held

    @cython.locals(now=double, events=list)
    cpdef turn(self, bint wait=*)
    @cython.locals(connection=Connection)
    cpdef give(self)
    cpdef bint put_off(self, Connection connection) except -1
    @cython.locals(pace=Pace, may_wait=bint)
    cpdef send_before(self, Endpoint endpoint)
    @cython.locals(connection=Connection, unsent=list)
    cpdef send(self)
    cpdef watch(self, Connection connection, int interest)
    cpdef bint look_away(self, Connection connection, int events) except -1
    cpdef forget(self, connection)
