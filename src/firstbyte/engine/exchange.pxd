import cython

from firstbyte._clock cimport monotonic
from firstbyte.engine.connection cimport Connection
from firstbyte.http.handler cimport Endpoint
from firstbyte.http.request cimport Request
from firstbyte.http.response cimport Response


cdef double inf


cdef class Exchange:
    cdef public object _callbacks
    cdef public bint _gone
    cdef public object _on_drain
    cdef public bint _looks_away
    cdef public object _reactor
    cdef public double _read_by
    cdef public object _reading
    cdef public double _write_by
    cdef public object _writing
    cdef public Connection connection
    cdef public Endpoint endpoint
    cdef public bint released
    cdef public Request request
    cdef public object task

    cpdef on_event(self, int events)
    cdef _begin(self, object reactor, Connection connection, Request request, Endpoint endpoint)


cdef class Reply:
    cdef public Exchange exchange
    cdef public Response response


@cython.locals(made=Exchange)
cpdef Exchange exchange_of(object reactor, Connection connection, Request request, Endpoint endpoint)
