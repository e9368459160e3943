cdef class Headers:
    cdef public list _fields
