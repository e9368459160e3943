import cython

from firstbyte.client.pool cimport Connection, Pool
from firstbyte.client.timeouts cimport Budget
from firstbyte.wire.response cimport ResponseReader


cdef class Exchange:
    cdef double _began
    cdef Budget _budget
    cdef Connection _connection
    cdef double _done
    cdef double _first
    cdef int _interim
    cdef Pool _pool
    cdef long long _received
    cdef double _sent
    cdef bint _sent_whole
    cdef Py_ssize_t _size
    cdef bint _taken
    cdef bint _upgrades
    cdef public bint is_async
    cdef public bint is_over
    cdef public object on_interim
    cdef public bint unanswered

    cdef _early(self)
    cdef _pass_interim(self, head)
    cdef _begin(self, head)
    @cython.locals(reader=ResponseReader, piece=bytes)
    cpdef bytes take(self)
    @cython.locals(whole=bytes)
    cpdef bytes take_whole(self, long long at_most)
    cpdef close(self)
    cdef _take(self, bytes data)
    @cython.locals(connection=Connection, reader=ResponseReader)
    cdef _finish(self)
