import cython

from firstbyte.http.request cimport Ends, Request
from firstbyte.wire.head cimport HeadScanner
from firstbyte.wire.messages cimport MessageReader


cdef class RequestReader(MessageReader):
    cdef HeadScanner _scanner
    cdef Ends _ends
    cdef tuple _framing
    cdef public bint expects_continue

    @cython.locals(buffer=bytes, at=Py_ssize_t, request=Request, end=Py_ssize_t, framing=tuple, scanned=tuple)
    cpdef read_head(self)
