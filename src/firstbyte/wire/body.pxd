import cython


cdef int _SIZE
cdef int _DATA
cdef int _DATA_END
cdef int _TRAILER


cdef class LengthBody:
    cdef long long _left
    cdef public bint done
    cdef public object trailers

    @cython.locals(piece=bytes)
    cpdef tuple decode(self, bytes buffer, Py_ssize_t start)
    cpdef pass_over(self, Py_ssize_t size)


cdef class ChunkedBody:
    cdef object _limits
    cdef object _max_body
    cdef int _state
    cdef long long _left
    cdef long long _size
    cdef long long _seen
    cdef long long _extensions
    cdef bytes _trailer
    cdef public bint done
    cdef public object trailers

    @cython.locals(at=Py_ssize_t, end=Py_ssize_t, newline=Py_ssize_t, piece=bytes, found=bytes, line=bytes)
    cpdef tuple decode(self, bytes buffer, Py_ssize_t start)
    cdef Py_ssize_t _advance(self, Py_ssize_t at, Py_ssize_t count) except -1
    cdef _start_chunk(self, bytes line)
    cdef _add_trailer(self, bytes line)
