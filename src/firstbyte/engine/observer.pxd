from firstbyte._clock cimport perf_counter


cdef class Entry:
    cdef public object request
    cdef public object endpoint
    cdef public object response
    cdef public double began
    cdef public double queued
    cdef public double waited
    cdef public long long received
    cdef public long long size
    cdef public long long body_size
    cdef public bint was_cut


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
    cdef public object cut
    cdef public object rejected
    cdef public object closed
    cdef public object accept_failed
