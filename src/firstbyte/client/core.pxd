import cython

from firstbyte.client.exchange cimport Exchange
from firstbyte.client.request cimport ClientRequest, Message
from firstbyte.client.response cimport ClientResponse
from firstbyte.client.sending cimport Sender
from firstbyte.client.timeouts cimport Budget
from firstbyte.wire.response cimport ResponseHead


cdef class Call:
    cdef public object timeout
    cdef public bint follow_redirects
    cdef public bint stream
    cdef public object auth
    cdef public object retry
    cdef public object cookies
    cdef public object upgrade
    cdef public bint is_plain


cdef class Core:
    cdef object _app
    cdef object _connector
    cdef object _jar
    cdef _Sent _last
    cdef object _max_body
    cdef object _network
    cdef object _on_request
    cdef object _on_response
    cdef Sender _sender
    cdef public dict _sent
    cdef object _settings

    @cython.locals(sent=_Sent, exchange=Exchange, budget=Budget, response=ClientResponse)
    cpdef ClientResponse send_blocking(self, ClientRequest request, Call call)
    cdef _tell(self, ClientRequest request, error, Budget budget)
    cdef bint _is_done(self, ClientResponse response, Call call) except -1
    cdef tuple _fields(self, ClientRequest request, Call call)
    cdef ClientResponse _receive(self, ClientRequest request, ResponseHead head, source)
    @cython.locals(own=list, last=_Sent, sent=_Sent, upgrades=bint, fields=tuple, method=str)
    cdef _Sent _prepare(self, ClientRequest request, Call call)
    cdef _Sent _make(self, ClientRequest request, list own, tuple fields, bint upgrades)


cdef class _Sent:
    cdef str method
    cdef object url
    cdef list own
    cdef tuple fields
    cdef object route
    cdef Message message

    cdef bint is_for(self, str method, url, list own, tuple fields) except -1


cdef bint _is_followed(ClientResponse response, Call call) except -1
