import cython

from firstbyte._clock cimport monotonic
from firstbyte.wire.response cimport ResponseReader


cdef class Connection:
    cdef public object stream
    cdef public str origin
    cdef public object address
    cdef public ResponseReader reader
    cdef public Py_ssize_t used
    cdef public double idle_since
    cdef public tuple opened

    cpdef close(self)


cdef class Pool:
    cdef object _network
    cdef Py_ssize_t _max
    cdef Py_ssize_t _max_per_origin
    cdef double _idle_timeout
    cdef object _lock
    cdef bint _is_shared
    cdef dict _idle
    cdef dict _slots
    cdef Py_ssize_t _total
    cdef object _wants
    cdef double _swept
    cdef public bint closed

    cpdef Connection take_idle(self, str origin, double now)
    @cython.locals(kept=bint)
    cpdef release(self, Connection connection)
    cpdef discard(self, str origin)
    @cython.locals(idle=list)
    cdef bint _keep(self, Connection connection) except -1
    cdef bint _hand_on(self, Connection connection) except -1
    @cython.locals(idle=list, connection=Connection)
    cdef Connection _pop_idle(self, str origin, double now)
    cdef bint _take_slot(self, str origin) except -1
    cdef _free_slot(self, str origin)
    cdef _serve(self)
    cdef _sweep(self)
    cdef _close(self, Connection connection)
