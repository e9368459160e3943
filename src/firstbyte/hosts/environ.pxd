from firstbyte.http.request cimport Request

cdef dict _variables

cdef class Environs:
    cdef public dict constants
    cdef public dict _known

    cpdef dict of(self, Request request)
