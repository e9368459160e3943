import cython


cdef class Output:
    cdef public object sock
    cdef public list buffers
    cdef public object file
    cdef bint _encrypted
    cdef int _fd

    @cython.locals(out=list, sent=Py_ssize_t)
    cpdef bint flush(self) except -1
    cpdef bint send_file(self) except -1
