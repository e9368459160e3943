from firstbyte.files.known cimport Known
from firstbyte.http.handler cimport Endpoint
from firstbyte.http.request cimport Request
from firstbyte.http.response cimport Response


cdef class StaticFiles:
    cdef object __weakref__
    cdef public object root
    cdef object _listing
    cdef object _listing_extra
    cdef object _clean_urls
    cdef object _spa
    cdef object _not_found
    cdef object _policy
    cdef public object _representations
    cdef Known _known
    cdef Endpoint _endpoint
    cdef Endpoint _other_method

    cpdef Endpoint resolve(self, Request request)
    cpdef answer(self, Request request)
