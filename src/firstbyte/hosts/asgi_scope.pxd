import cython

from firstbyte.http.request cimport Request

cdef dict _ASGI
cdef dict _EXTENSIONS
cdef dict _known


@cython.locals(known=_Known, extensions=dict, scope=dict)
cpdef dict scope_of(Request request, dict state)


cdef class _Known:
    cdef list headers
    cdef str method
    cdef str raw_path
    cdef str raw_query
    cdef str root_path
    cdef str scheme
    cdef dict scope
    cdef object server
