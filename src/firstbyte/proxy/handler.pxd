import cython

from firstbyte.client.exchange cimport Exchange
from firstbyte.client.timeouts cimport Budget
from firstbyte.client.request cimport Message
from firstbyte.client.sending cimport Sender
from firstbyte.http.handler cimport Answered, Endpoint
from firstbyte.http.request cimport Request
from firstbyte.http.response cimport Response
from firstbyte.proxy.fields cimport Returned, answered_fields
from firstbyte.proxy.upstreams cimport Upstream, Upstreams
from firstbyte.waiting cimport Attempt, Wait
from firstbyte.wire.response cimport ResponseHead


cdef class Proxy:
    cdef object __weakref__
    cdef public Upstreams upstreams
    cdef public bint debug
    cdef object _forwarded
    cdef str _host
    cdef object _via
    cdef bint _rewrite
    cdef bint _changes_nothing
    cdef dict _written
    cdef object _timeouts
    cdef object _waits
    cdef object _later
    cdef object _idle
    cdef object _health
    cdef object _error_page
    cdef object _pool_of
    cdef public object _connector
    cdef public object _network
    cdef public object _pool
    cdef public Sender _sender
    cdef Endpoint _endpoint

    cpdef Endpoint resolve(self, Request request)
    cdef _body(self, Request request, passed)
    @cython.locals(key=tuple, head=bytes)
    cdef Message _message(self, Request request, Upstream upstream, Message last)
    cdef Message _write(self, Request request, passed, Upstream upstream, body)
    cdef bint _keeps_host(self, Upstream upstream) except -1
    @cython.locals(answer=ResponseHead, returned=Returned, status=int, has_content=bint, is_whole=bint)
    cdef _respond(self, Request request, Upstream upstream, Exchange exchange, Budget budget)
    cdef _switch(self, answer, headers, Exchange exchange, done)


cdef class Passage(Attempt):
    cdef Proxy _proxy
    cdef Request _request
    cdef Upstream _upstream
    cdef Message _message
    cdef Budget _budget
    cdef Exchange _exchange
    cdef bint _is_waiting
    cdef tuple _tried
    cdef object _failure
    cdef object _error

    @cython.locals(response=Response, wait=Wait)
    cpdef Wait attempt(self)
    @cython.locals(upstream=Upstream, exchange=Exchange, proxy=Proxy)
    cdef Response _advance(self)
    @cython.locals(upstream=Upstream, message=Message, proxy=Proxy)
    cdef bint _begin(self) except -1
    cdef _go_on(self)
    cdef _fail(self, error)
    cdef _failed(self, failure)
    cdef _leave(self)
