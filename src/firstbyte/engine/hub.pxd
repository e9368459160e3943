from firstbyte._clock cimport monotonic
from firstbyte.engine.connection cimport Connection
from firstbyte.engine.observer cimport Hooks
from firstbyte.http.handler cimport Endpoint
from firstbyte.http.request cimport Request
from firstbyte.wire.head cimport HeadScanner
from firstbyte.wire.writer cimport Tails


cdef class Driver:
    cpdef call(self, Connection connection, Request request, Endpoint endpoint)
    cpdef bint detach(self, Connection connection) except -1


cdef class Hub:
    cdef object __weakref__
    cdef public object handler
    cdef public object resolve
    cdef public object background
    cdef public object limits
    cdef public object timeouts
    cdef public HeadScanner scanner
    cdef public Hooks hooks
    cdef public Driver driver
    cdef public bint draining
    cdef public double idle_timeout
    cdef public double now
    cdef public Tails tails
    cdef double _tails_until

    cpdef Tails fresh_tails(self)
    cpdef bint put_off(self, Connection connection) except -1
    cpdef watch(self, Connection connection, int interest)
    cpdef bint look_away(self, Connection connection, int events) except -1
    cpdef forget(self, connection)
    cpdef _renew_tails(self, double now)
