cdef class Wait:
    cdef object _loop
    cdef public bint _asyncio_future_blocking
    cdef object _callback
    cdef object _context
    cdef object _error
    cdef public double deadline
    cdef public bint over

    cpdef end(self, error=*)
