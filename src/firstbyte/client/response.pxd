from firstbyte.client.request cimport ClientRequest
from firstbyte.wire.response cimport ResponseHead


cdef class ClientResponse:
    cdef bytes _content
    cdef object _decoder
    cdef ResponseHead _head
    cdef object _headers
    cdef object _max_body
    cdef object _pieces
    cdef object _source
    cdef public tuple history
    cdef public str reason
    cdef public ClientRequest request
    cdef public int status

    cpdef bint take_whole(self) except -1
    cpdef close(self)
    cdef _reader(self)
