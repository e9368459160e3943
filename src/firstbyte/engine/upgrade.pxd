import cython

from firstbyte.engine.exchange cimport Exchange


cdef class Takeover(Exchange):
    cdef public object lock
    cdef object _session
    cdef bint _is_over
    cdef bint _has_ended
    cdef bint _is_full
    cdef bint _paused

    cpdef bint send(self, bytes data) except -1
    cpdef pause(self, bint paused)
    cpdef on_event(self, int events)
    @cython.locals(interest=int)
    cdef _settle(self)
