import cython

from firstbyte.http.response cimport Prepared, Response


cdef class Tails:
    cdef public str date
    cdef public bytes keep
    cdef public bytes keep_old
    cdef public bytes close

    cpdef bytes of(self, bint keep_alive, int minor)


cdef class BodyWriter:
    cdef int _ending
    cdef long long _left

    cpdef bytes frame(self, bytes piece)
    cpdef bytes end(self, object trailers=*)


cdef dict _prefixes
cdef list _DIGITS


@cython.locals(prefixes=dict, prefix=bytes, rest=bytes, size="long long", prepared=Prepared)
cpdef bytes encode_plain(Response response, object body, bytes tail)
