import cython

from firstbyte._clock cimport monotonic
from firstbyte.client.pool cimport Connection, Pool
from firstbyte.client.request cimport Message
from firstbyte.client.timeouts cimport Budget
from firstbyte.client.watched cimport WatchedStream
from firstbyte.waiting cimport Wait
from firstbyte.wire.response cimport ResponseHead, ResponseReader


cdef class Exchange:
    cdef double _began
    cdef Budget _budget
    cdef Connection _connection
    cdef double _done
    cdef double _first
    cdef int _interim
    cdef object _on_interim
    cdef Pool _pool
    cdef long long _received
    cdef object _refusal
    cdef object _rest
    cdef double _sent
    cdef bint _sent_whole
    cdef Py_ssize_t _size
    cdef bint _taken
    cdef public ResponseHead head
    cdef public bint is_async
    cdef public bint is_over
    cdef public Message message
    cdef public bint unanswered

    @cython.locals(message=Message, connection=Connection, budget=Budget, data=bytes)
    cpdef begin(self)
    cpdef Wait wait(self)
    @cython.locals(stream=WatchedStream, data=bytes)
    cpdef go_on(self)
    cdef _not_taken(self, error)
    cdef bint _is_answered(self) except -1
    cdef _pass_interim(self, ResponseHead head)
    @cython.locals(reader=ResponseReader, budget=Budget, head=ResponseHead, data=bytes)
    cdef _read_at_once(self)
    cdef _begin(self, ResponseHead head)
    @cython.locals(reader=ResponseReader, piece=bytes)
    cpdef bytes take(self)
    @cython.locals(whole=bytes)
    cpdef bytes take_whole(self, long long at_most)
    cpdef close(self)
    cdef _hear(self, bytes data)
    @cython.locals(connection=Connection, reader=ResponseReader)
    cdef _finish(self)
