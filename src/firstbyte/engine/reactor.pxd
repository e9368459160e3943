from firstbyte.engine.connection cimport Connection
from firstbyte.engine.observer cimport Hooks


cdef class Reactor:
    cdef object __weakref__
    cdef public object handler
    cdef public object limits
    cdef public object scanner
    cdef public object timeouts
    cdef public Hooks hooks
    cdef public object driver
    cdef public object drained
    cdef public object tails
    cdef public double now
    cdef public list ready
    cdef public bint draining
    cdef public dict sources
    cdef bint _any_paused
    cdef dict _connections
    cdef list _listeners
    cdef object _poller
    cdef object _hand_back
    cdef double _tails_until
    cdef double _tick
    cdef double _next_sweep
    cdef object _submitted
    cdef object _waker

    cpdef turn(self, bint wait=*)
