import cython

from firstbyte._clock cimport monotonic
from firstbyte.client.exchange cimport Exchange
from firstbyte.client.pool cimport Connection, Pool
from firstbyte.client.request cimport Message
from firstbyte.client.timeouts cimport Budget


cdef class Sender:
    cdef bint _is_async
    cdef Pool _pool
    cdef object _connector

    @cython.locals(connection=Connection, exchange=Exchange, now=double)
    cpdef Exchange begin(self, Message message, route, Budget budget, on_interim=*)
    cpdef go_on(self, Exchange exchange)
    cdef bint _is_alive(self, Connection connection, Message message, double now) except -1
