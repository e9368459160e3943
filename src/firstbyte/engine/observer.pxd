cdef class Hooks:
    cdef public object accepted
    cdef public object first_byte
    cdef public object head
    cdef public object resolved
    cdef public object queued
    cdef public object handler_started
    cdef public object handler_ended
    cdef public object write_started
    cdef public object write_ended
    cdef public object rejected
    cdef public object closed
    cdef public object accept_failed
