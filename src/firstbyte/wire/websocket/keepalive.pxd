cdef class KeepAlive:
    cdef double _interval
    cdef bint _is_waiting
    cdef double _timeout
    cdef public double deadline

    cpdef heard(self, double now)
    cpdef int due(self, double now) except -1
