cdef class Upstream:
    cdef object __weakref__
    cdef public object url
    cdef public object base
    cdef public str name
    cdef public bint secure
    cdef public object route
    cdef public Py_ssize_t active
    cdef public Py_ssize_t fails
    cdef public double rests_until
    cdef public bint is_sick
    # `done` is handed on as a function, which Cython cannot do with a C method.


cdef class Upstreams:
    cdef public list members
    cdef public Py_ssize_t _turn
    cdef object _clock

    cpdef choose(self, without=*)
    cpdef answered(self, Upstream upstream)
