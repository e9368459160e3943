cdef class Output:
    cdef public object sock
    cdef public list buffers
    cdef public object file
    cdef bint _encrypted

    cpdef bint flush(self) except -1
    cpdef bint send_file(self) except -1
