cdef class Session:
    cdef public double deadline

    cpdef received(self, bytes data, double now)
