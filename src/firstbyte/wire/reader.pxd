import cython

from firstbyte.http.request cimport Ends, Request
from firstbyte.wire.head cimport Head, HeadScanner
from firstbyte.wire.messages cimport MessageReader


# Imported as objects, compared as numbers for every request.
cdef Py_ssize_t KNOWN_SIZE
cdef long long CHUNKED


cdef class RequestReader(MessageReader):
    cdef HeadScanner _scanner
    cdef Ends _ends
    cdef Head _head
    cdef public bint expects_continue

    @cython.locals(buffer=bytes, at=Py_ssize_t, head=Head)
    cpdef Request read_head(self)
