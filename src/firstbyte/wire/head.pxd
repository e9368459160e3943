from firstbyte.http.request cimport Ends, Request


cdef class HeadScanner:
    cdef public object limits
    cdef dict _heads
    cdef dict _blocks

    cpdef scan(self, bytes buffer, Py_ssize_t start, Ends ends)
