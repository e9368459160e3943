cdef class SocketStream:
    cdef object _recv_timeout
    cdef object _send_timeout
    cdef object _sock

    cpdef recv_at_once(self, timeout)
    cpdef recv_now(self)
    cpdef send_at_once(self, bytes data, timeout)
    cdef bytes _recv(self, timeout, Py_ssize_t size)
    cpdef close(self)
