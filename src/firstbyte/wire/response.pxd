import cython

from firstbyte.wire.messages cimport MessageReader


cdef class ResponseHead:
    cdef public int status
    cdef public str reason
    cdef public int minor
    cdef public bytes block
    cdef public long long length
    cdef public bint keep_alive
    cdef public bint is_coded
    cdef public bint sets_cookies


cdef class ResponseReader(MessageReader):
    cdef object _limits
    cdef dict _known
    cdef bytes _last
    cdef ResponseHead _last_head
    cdef str _method

    cpdef expect(self, str method)
    @cython.locals(buffer=bytes, at=Py_ssize_t, end=Py_ssize_t, data=bytes, head=ResponseHead)
    cpdef ResponseHead read_head(self)
    @cython.locals(line_end=Py_ssize_t, block=bytes)
    cdef ResponseHead _scan(self, bytes head)
    @cython.locals(status=int, length=cython.longlong)
    cdef _begin_body(self, ResponseHead head)
    cpdef bint end(self) except -1


cdef class _UntilClose:
    cdef public bint done
    cdef public object trailers

    cpdef tuple decode(self, bytes buffer, Py_ssize_t start)
