import cython

from firstbyte.engine.exchange cimport Exchange
from firstbyte.waiting cimport Attempt, Follower, Wait


cdef class Trial(Follower):
    cdef object __weakref__
    cdef Attempt _attempt
    cdef object _driver
    cdef Wait _wait
    cdef public object cancelled
    cdef public Exchange exchange

    @cython.locals(wait=Wait)
    cpdef step(self)
    cpdef go_on(self)
