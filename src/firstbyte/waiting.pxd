import cython


cdef class Wait:
    cdef object _loop
    cdef public bint _asyncio_future_blocking
    cdef object _callback
    cdef object _context
    cdef object _error
    cdef Follower _follower
    cdef public double deadline
    cdef public bint over

    cpdef end(self, error=*)
    cpdef follow(self, Follower follower)
    cpdef renew(self)


cdef class Follower:
    cpdef go_on(self)


cdef class Attempt:
    cdef bint _has_begun
    cdef Wait _wait
    cdef public bint is_over
    cdef public object value

    cpdef renew(self)
    cpdef Wait attempt(self)
    @cython.locals(wait=Wait)
    cpdef Wait step(self)


cdef class Begun:
    cdef object _argument
    cdef object _ended
    cdef object _failed
    cdef public object _coroutine
    cdef public object awaits
    cdef public bint is_over
    cdef public object value


cdef class Stepper(Follower):
    cdef object _coroutine
    cdef object _enter
    cdef object _leave
    cdef object _send
    cdef object _loop
    cdef object _task
    cdef Wait _wait
    cdef Wait _parked
    cdef bint _has_yielded
    cdef object _yielded
    cdef object _end

    @cython.locals(parked=Wait)
    cpdef go_on(self)
    @cython.locals(parked=Wait)
    cdef _park(self, yielded)
    cdef _attach(self, Wait wait)
