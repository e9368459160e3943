from firstbyte.engine.connection cimport Connection
from firstbyte.http.handler cimport Endpoint
from firstbyte.http.request cimport Request


cdef class Exchange:
    cdef object _callbacks
    cdef bint _gone
    cdef bint _looks_away
    cdef object _reactor
    cdef double _read_by
    cdef object _reading
    cdef double _write_by
    cdef object _writing
    cdef public Connection connection
    cdef public Endpoint endpoint
    cdef public bint released
    cdef public Request request
    cdef public object task
