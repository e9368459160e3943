import cython


cdef class ResponseReader:
    cdef object _limits
    cdef dict _known
    cdef str _method
    cdef bytes _buffer
    cdef Py_ssize_t _at
    cdef Py_ssize_t _checked
    cdef object _body
    cdef public bint pending
    cdef public bint in_body
    cdef public bint keep_alive
    cdef public long long length
    cdef public object trailers

    cpdef expect(self, str method)
    cpdef feed(self, bytes data)
    @cython.locals(buffer=bytes, at=Py_ssize_t, end=Py_ssize_t, data=bytes)
    cpdef read_head(self)
    @cython.locals(line_end=Py_ssize_t, block=bytes)
    cdef _scan(self, bytes head)
    @cython.locals(status=int, length=cython.longlong)
    cdef _begin_body(self, head)
    @cython.locals(piece=bytes, at=Py_ssize_t)
    cpdef bytes read_body(self)
    @cython.locals(end=Py_ssize_t, whole=bytes)
    cpdef bytes take_whole_body(self, long long at_most)
    cpdef bint end(self) except -1
    cpdef bytes take_rest(self)
    cdef _advance(self, Py_ssize_t at)


cdef class _UntilClose:
    cdef public bint done
    cdef public object trailers

    cpdef tuple decode(self, bytes buffer, Py_ssize_t start)
