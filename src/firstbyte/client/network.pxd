cdef class SocketStream:
    cdef object _recv_timeout
    cdef object _send_timeout
    cdef object _sock

    cpdef recv_now(self)
    cpdef close(self)
