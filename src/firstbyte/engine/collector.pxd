from firstbyte._clock cimport monotonic
from firstbyte.wire.messages cimport MessageReader


cdef class Collector:
    cdef double _began
    cdef object _limits
    cdef object _timeouts
    cdef list _pieces
    cdef object _file
    cdef public object place
    cdef public Py_ssize_t size

    cpdef add(self, bytes piece)
    cpdef Py_ssize_t receive(self, int fd, MessageReader reader) except -1
    cpdef double wait(self) except -1
    cpdef take(self)
    cpdef close(self)
