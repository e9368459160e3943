from firstbyte.http.response cimport Response


cdef class Pace:
    cdef public double seconds
    cdef public long calls

    cpdef count(self, double seconds)


cdef class Answered:
    cdef public Response response


cdef class Endpoint:
    cdef object __weakref__
    cdef public object attempt
    cdef public object call
    cdef public object name
    cdef public bint is_async
    cdef public bint streams_body
    cdef public bint sends
    cdef public bint cancel_on_disconnect
    cdef public object max_body
    cdef public Pace pace
    cdef public str rule
