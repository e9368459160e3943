import cython

from firstbyte.http.headers cimport Headers
from firstbyte.http.request cimport Request
from firstbyte.http.response cimport Prepared
from firstbyte.wire.response cimport ResponseHead

cdef dict _passed, _answered, _forwarded


cdef class Returned:
    cdef public Headers headers
    cdef public Prepared prepared


@cython.locals(block=bytes)
cpdef passed_fields(Request request)
@cython.locals(block=bytes, status=int, known=Returned)
cpdef Returned answered_fields(ResponseHead answer)
cpdef forwarded_lines(Request request, str host, str prefix, families)
