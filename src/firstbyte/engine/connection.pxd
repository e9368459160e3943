import cython

from firstbyte._clock cimport monotonic
from firstbyte.engine._native cimport receive
from firstbyte.engine.collector cimport Collector
from firstbyte.engine.exchange cimport Exchange
from firstbyte.engine.hub cimport Driver, Hub
from firstbyte.engine.observer cimport Entry, Hooks
from firstbyte.engine.output cimport Output
from firstbyte.engine.services cimport ConnectionServices
from firstbyte.http.handler cimport Endpoint
from firstbyte.http.request cimport Request
from firstbyte.http.response cimport FileBody, Response
from firstbyte.wire.reader cimport RequestReader
from firstbyte.wire.writer cimport BodyWriter, Tails, encode_plain


# Imported as objects, compared as numbers for every request.
cdef int READ, WRITE
cdef int BODY, CLOSED, DISCARD, HEAD, LINGER, WRITING
cdef Py_ssize_t BATCH, JOIN
cdef int NONE


cdef class Connection:
    cdef object __weakref__
    cdef Hub _reactor
    cdef Hooks _hooks
    cdef Output _output
    cdef list _out
    cdef list _written
    cdef Collector _collector
    cdef Request _request
    cdef Response _response
    cdef Endpoint _endpoint
    cdef object _stream
    cdef BodyWriter _body_writer
    cdef bint _fresh
    cdef bint _answered
    cdef bint _encrypted
    cdef bint _keep_alive
    cdef bint _linger
    cdef Py_ssize_t _size
    cdef Py_ssize_t _head
    cdef public object sock
    cdef public Exchange owner
    cdef public object ends
    cdef public ConnectionServices services
    cdef public RequestReader reader
    cdef public int fd
    cdef public int interest
    cdef public int state
    cdef public bint busy
    cdef public bint lost
    cdef public double deadline
    cdef public Entry entry

    @cython.locals(state=int, count=Py_ssize_t)
    cpdef on_event(self, int events)
    @cython.locals(reader=RequestReader, reactor=Hub, hooks=Hooks, driver=Driver, request=Request, endpoint=Endpoint)
    cpdef advance(self)
    cpdef bytes receive(self)
    cpdef bint flush(self) except -1
    cpdef bint push(self, bytes piece) except -1
    cpdef close(self, str reason)
    @cython.locals(reactor=Hub, reader=RequestReader, keep_alive=bint, tails=Tails, tail=bytes, data=bytes, file=FileBody)
    cdef bint _respond(self, Request request, Response response) except -1
    cdef bint _responded(self, Request request, Response response) except -1
    @cython.locals(output=Output, reactor=Hub, busy=bint, now=double, reader=RequestReader, pending=bint)
    cpdef bint settle(self) except -1
    cdef bint _send_file(self) except -1
    cpdef respond(self, Request request, Response response)
    cdef bint _begin_body(self, Request request, Endpoint endpoint) except -1
    @cython.locals(collector=Collector, count=Py_ssize_t, data=bytes)
    cdef Py_ssize_t _take_in(self) except -2
    cdef bint _take_body(self) except -1
    @cython.locals(collector=Collector)
    cdef bint _collect(self) except -1
    cdef Py_ssize_t _not_received(self, error) except -2
    cdef bint _discard(self) except -1
    cdef _wait_for_peer(self)
