from firstbyte.http.headers cimport Headers


cdef class Response:
    cdef object __weakref__
    cdef public Headers _headers
    cdef public object body
    cdef public object content_type
    cdef public object status
