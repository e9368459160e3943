import cython

from firstbyte.http.request cimport Ends, Request
from firstbyte.wire.head cimport HeadScanner


cdef class RequestReader:
    cdef HeadScanner _scanner
    cdef Ends _ends
    cdef bytes _buffer
    cdef Py_ssize_t _at
    cdef Py_ssize_t _checked
    cdef object _body
    cdef tuple _framing
    cdef public bint pending
    cdef public bint in_body
    cdef public bint keep_alive
    cdef public bint expects_continue
    cdef public long long length
    cdef public long long body_size
    cdef public object trailers

    cpdef feed(self, bytes data)
    @cython.locals(buffer=bytes, at=Py_ssize_t, request=Request, end=Py_ssize_t, framing=tuple, scanned=tuple)
    cpdef read_head(self)
    cpdef bytes read_body(self)
    @cython.locals(end=Py_ssize_t, whole=bytes)
    cpdef bytes take_whole_body(self, Py_ssize_t at_most)
    cdef _advance(self, Py_ssize_t at)
