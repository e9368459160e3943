from firstbyte.http.headers cimport Headers


cdef class ClientRequest:
    cdef public object body
    cdef public Headers headers
    cdef public str method
    cdef public object url


cdef class Message:
    cdef public str method
    cdef public bytes head
    cdef public object body
    cdef public bint can_be_repeated
    cdef public bint expects_continue
    cdef public bint upgrades
