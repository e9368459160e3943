import cython


cdef class MessageReader:
    cdef bytes _buffer
    cdef Py_ssize_t _at
    cdef Py_ssize_t _checked
    cdef object _body
    cdef public bint pending
    cdef public bint in_body
    cdef public bint keep_alive
    cdef public long long length
    cdef public long long body_size
    cdef public object trailers

    cpdef feed(self, bytes data)
    @cython.locals(piece=bytes, at=Py_ssize_t)
    cpdef bytes read_body(self)
    cpdef pass_over(self, Py_ssize_t size)
    cdef _count(self, Py_ssize_t size)
    @cython.locals(end=Py_ssize_t, whole=bytes)
    cpdef bytes take_whole_body(self, long long at_most)
    cpdef bytes take_rest(self)
    cdef _advance(self, Py_ssize_t at)
