import cython

from firstbyte._clock cimport monotonic
from firstbyte.waiting cimport Wait


cdef class TimedWaits:
    cdef object __weakref__
    cdef public object _loop
    cdef public Wait _reader
    cdef public Wait _writer
    cdef Wait _spare
    cdef public object _timer
    cdef double _looks_at

    @cython.locals(deadline=double)
    cpdef Wait _within(self, timeout)
    cpdef _stop_timer(self)
    cpdef _wake(self, Wait waiter)


cdef class WatchedStream(TimedWaits):
    cdef object _sock
    cdef int _fd
    cdef int _interest
    cdef bint _may_read
    cdef object _watcher
    cdef public object tells

    cpdef on_event(self, int events)
    cpdef recv_at_once(self, timeout)
    cpdef Wait begin_recv(self, timeout)
    cpdef bytes end_recv(self)
    cpdef recv_now(self)
    cpdef send_at_once(self, bytes data, timeout)
    cpdef close(self)
    cdef bytes _receive(self)
    cdef Py_ssize_t _transmit(self, data) except -1
    cdef _watch(self, int interest)
