import cython

from firstbyte.http.request cimport Ends, Request


cdef class HeadScanner:
    cdef public object limits
    cdef dict _heads
    cdef dict _heads_of_bodies
    cdef dict _lines
    cdef dict _blocks
    cdef dict _blocks_but_length

    @cython.locals(request=Request, size=Py_ssize_t, line_end=Py_ssize_t, stop=Py_ssize_t, fields_at=Py_ssize_t, head=bytes, heads=dict, known=tuple, line=bytes, parts=tuple, at=Py_ssize_t, digits=bytes, digits_end=Py_ssize_t, version=int, block=bytes, rest=bytes, block_framing=tuple, known_framing=tuple)
    cpdef scan(self, bytes buffer, Py_ssize_t start, Ends ends)
