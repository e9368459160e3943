cdef class ConnectionServices:
    cdef object _background
    cdef object _connection
    cdef public list jobs
