import cython

from firstbyte.wire.messages cimport MessageReader


cdef class ResponseReader(MessageReader):
    cdef object _limits
    cdef dict _known
    cdef str _method

    cpdef expect(self, str method)
    @cython.locals(buffer=bytes, at=Py_ssize_t, end=Py_ssize_t, data=bytes)
    cpdef read_head(self)
    @cython.locals(line_end=Py_ssize_t, block=bytes)
    cdef _scan(self, bytes head)
    @cython.locals(status=int, length=cython.longlong)
    cdef _begin_body(self, head)
    cpdef bint end(self) except -1


cdef class _UntilClose:
    cdef public bint done
    cdef public object trailers

    cpdef tuple decode(self, bytes buffer, Py_ssize_t start)
