import cython

from firstbyte._clock cimport monotonic
from firstbyte.engine.connection cimport Connection
from firstbyte.engine.exchange cimport Exchange
from firstbyte.engine.hub cimport Hub
from firstbyte.http.upgrade cimport Session

cdef double inf
cdef int ERROR, HANGUP, READ, WRITE


cdef class Takeover(Exchange):
    cdef public object lock
    cdef public Session _session
    cdef bint _has_begun
    cdef bint _in_event
    cdef bint _shares
    cdef public bint _is_over
    cdef public bint _has_ended
    cdef public bint _is_full
    cdef public bint _paused

    cpdef bint send(self, bytes data) except -1
    @cython.locals(connection=Connection, has_room=bint)
    cdef bint _send(self, bytes data) except -1
    cpdef pause(self, bint paused)
    @cython.locals(connection=Connection)
    cdef _take(self, int events)
    cpdef _take_rest(self)
    @cython.locals(data=bytes, hub=Hub)
    cpdef _receive(self)
    @cython.locals(connection=Connection, interest=int)
    cpdef _settle(self)
