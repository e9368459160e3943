import cython

from firstbyte.http.request cimport Request


@cython.locals(block=bytes)
cpdef passed_fields(Request request)
cpdef answered_fields(answer)
cpdef forwarded_lines(Request request, str host, str prefix, families)
