import cython

from firstbyte.http.request cimport Request

cdef dict _variables
cdef dict _ports

cdef class Environs:
    cdef public dict constants
    cdef public dict _known

    @cython.locals(base=dict, environ=dict, known=tuple, head=bytes)
    cpdef dict of(self, Request request)
