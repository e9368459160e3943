cdef class Collector:
    cdef Py_ssize_t _in_memory
    cdef list _pieces
    cdef object _file
    cdef public Py_ssize_t size

    cpdef add(self, bytes piece)
    cpdef take(self)
    cpdef close(self)
