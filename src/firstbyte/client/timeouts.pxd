from firstbyte._clock cimport monotonic


cdef class Budget:
    cdef public object timeout
    cdef public double started
    cdef public object deadline
    cdef bint _total_is_next

    cpdef left(self, wait, until=*)
