import cython

from firstbyte.wire.websocket.keepalive cimport KeepAlive
from firstbyte.wire.websocket.protocol cimport Connection


cdef class _Common:
    cdef dict __dict__
    cdef object __weakref__
    cdef public object request
    cdef public object subprotocol
    cdef object _fields
    cdef object _options
    cdef Connection _protocol
    cdef object _transport
    cdef object _queue
    cdef KeepAlive _alive
    cdef double _close_by
    cdef double _answer_by
    cdef public bint _is_lost
    cdef bint _is_full
    cdef bint _is_paused
    cdef object _scope
    cdef object _work
    cdef object _outlet

    @cython.locals(protocol=Connection, events=list, replies=bytes)
    cpdef received(self, bytes data)
    cpdef writable(self)
    cpdef _wake(self)
    @cython.locals(paused=bint)
    cpdef _pace(self)
    cpdef _next(self)
    cpdef bint _send(self, bytes data) except -1
    cpdef bytes _encode(self, message)


cdef class WebSocket(_Common):
    cdef object _loop
    cdef object _new_wait
    cdef object _new_stepper
    cdef object _spare
    cdef list _waiters
    cdef object _scope_task

    @cython.locals(waiters=list)
    cpdef _wake(self)
    cpdef _wait(self)


cdef class _Messages:
    cdef WebSocket _ws


cdef class SyncWebSocket(_Common):
    cdef object _lock
    cdef object _changed

    cpdef _wake(self)
