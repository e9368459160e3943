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


cdef class _Head:
    cdef bytes head
    cdef Py_ssize_t size
    cdef bytes tail


cdef class _Prefix:
    cdef bytes data
    cdef _Head last
    cdef Py_ssize_t size


cdef dict _prefixes, _prefixes_of_200
cdef list _DIGITS


@cython.locals(prefixes=dict, known=_Prefix, last=_Head, prefix=bytes, rest=bytes, size="long long", prepared=Prepared)
cpdef bytes encode_plain(Response response, object body, bytes tail)
