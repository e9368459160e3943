from firstbyte.http.headers cimport Headers


cdef class ClientRequest:
    cdef public object body
    cdef public Headers headers
    cdef public str method
    cdef public object url
