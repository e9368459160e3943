cpdef bytes receive(int fd)
cpdef Py_ssize_t transmit(int fd, data) except -1


cdef class Place:
    cdef bytes _whole
    cdef Py_ssize_t _size
    cdef public Py_ssize_t left

    cpdef put(self, bytes piece)
    cpdef Py_ssize_t receive(self, int fd) except -1
    cpdef bytes take(self)
