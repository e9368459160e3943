import cython

from firstbyte.http.response cimport FileBody


cdef class Served:
    cdef public object body
    cdef public str etag
    cdef public dict headers
    cdef public str media_type
    cdef public double modified
    cdef public str path
    cdef public object signature
    cdef public Py_ssize_t size
    cdef public bint used


cdef class OpenFile:
    cdef int _fd
    cdef public object signature
    cdef public bint used

    cpdef int fileno(self) except -1


cdef class Span(FileBody):
    pass


cdef class OpenFiles:
    cdef dict _files
    cdef Py_ssize_t _limit
    cdef object _lock

    @cython.locals(file=OpenFile)
    cpdef Span span(self, str path, signature, long long start, long long stop)
