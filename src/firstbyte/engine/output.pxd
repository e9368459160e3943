import cython

from firstbyte.engine._native cimport transmit
from firstbyte.http.response cimport FileBody

cdef class Output:
    cdef public object sock
    cdef public list buffers
    cdef public FileBody file
    cdef bint _encrypted
    cdef int _fd

    @cython.locals(size=Py_ssize_t)
    cdef Py_ssize_t _size(self) except -1
    @cython.locals(out=list, sent=Py_ssize_t)
    cpdef bint flush(self) except -1
    @cython.locals(file=FileBody, sent="long long")
    cpdef bint send_file(self) except -1
