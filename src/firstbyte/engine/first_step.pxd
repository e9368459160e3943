import cython

cdef object getrefcount
cdef object getweakrefcount
cdef object _enter_task
cdef object _leave_task
cdef object _ENDED, _NAME

cpdef next_step(object steps)


cdef class FirstSteps:
    cdef object _loop
    cdef _Spare _spare
    cdef public object context

    cpdef tuple run(self, object coroutine)
    @cython.locals(spare=_Spare)
    cpdef tuple call(self, object function, object argument, Walk walk=*)


cdef class Walk:
    cdef object __weakref__
    cdef FirstSteps _first_steps
    cdef object _steps
    cdef object _wait
    cdef object _wakes
    cdef object _cancelled

    cpdef tuple step(self)
    cpdef wait_for(self, wait)


cdef class _Spare:
    cdef object _loop
    cdef object _step
    cdef object _left
    cdef bint _is_listed
    cdef object context
    cdef object run
    cdef object task

    cpdef go_on(self, object left)
    cpdef end(self)
    cdef bint is_as_new(self, object context) except -1
    cdef Py_ssize_t references(self) except -1


cdef class Rest:
    cdef object _steps
    cdef public object waits_for
