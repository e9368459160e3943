import cython

from firstbyte.http.request cimport Ends, Request


cdef class HeadScanner:
    cdef public object limits
    cdef dict _heads
    cdef dict _blocks

    @cython.locals(request=Request, size=Py_ssize_t, line_end=Py_ssize_t, stop=Py_ssize_t, fields_at=Py_ssize_t, head=bytes, block=bytes)
    cpdef scan(self, bytes buffer, Py_ssize_t start, Ends ends)
