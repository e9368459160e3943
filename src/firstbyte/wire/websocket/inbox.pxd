cdef class Inbox:
    cdef object _first
    cdef object _rest
    cdef public Py_ssize_t count

    cpdef put(self, message)
    cpdef take(self)
    cpdef clear(self)
