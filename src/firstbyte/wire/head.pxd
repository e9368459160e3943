import cython

from firstbyte.http.request cimport Ends, Request


cdef class Head:
    cdef public str method
    cdef public str path
    cdef public str query
    cdef public int version
    cdef public bytes data
    cdef public Py_ssize_t fields_at
    cdef public Py_ssize_t size
    cdef public long long length
    cdef public bint keep_alive
    cdef public bint expects_continue

    @cython.locals(request=Request)
    cpdef Request request(self, Ends ends)
    cpdef bint begins(self, bytes buffer, Py_ssize_t at) except -1


cdef class HeadScanner:
    cdef public object limits
    cdef dict _heads
    cdef dict _heads_of_bodies
    cdef dict _lines
    cdef dict _blocks
    cdef dict _blocks_but_length

    @cython.locals(size=Py_ssize_t, line_end=Py_ssize_t, stop=Py_ssize_t, fields_at=Py_ssize_t, data=bytes, known=Head, head=Head, line=bytes, parts=tuple, at=Py_ssize_t, digits=bytes, digits_end=Py_ssize_t, version=int, block=bytes, rest=bytes, block_framing=tuple, known_framing=tuple)
    cpdef Head scan(self, bytes buffer, Py_ssize_t start)
