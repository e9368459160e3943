import cython

from firstbyte.client.request cimport ClientRequest
from firstbyte.client.sending cimport Sender


cdef class Core:
    cdef object _app
    cdef object _connector
    cdef object _jar
    cdef object _max_body
    cdef object _network
    cdef object _on_request
    cdef object _on_response
    cdef Sender _sender
    cdef public dict _sent
    cdef object _settings

    @cython.locals(own=list, known=_Sent)
    cdef _Sent _prepare(self, ClientRequest request, tuple fields, bint upgrades)


cdef class _Sent:
    cdef list own
    cdef tuple fields
    cdef object route
    cdef object message
