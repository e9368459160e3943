from firstbyte.engine.hub cimport Driver


cdef class Worker:
    cdef public object baton
    cdef public object thread
    cdef public list token


cdef class Pool(Driver):
    cdef object __weakref__
    cdef public Py_ssize_t _limit
    cdef public list _workers
    cdef public list _idle
    cdef public object _backlog
    cdef public dict _apart
    cdef public bint _stopping
