import cython

from firstbyte._clock cimport monotonic
from firstbyte.http.upgrade cimport Session
from firstbyte.waiting cimport Attempt, Stepper, Wait
from firstbyte.wire.websocket.inbox cimport Inbox
from firstbyte.wire.websocket.keepalive cimport KeepAlive
from firstbyte.wire.websocket.protocol cimport Connection

cdef Py_ssize_t QUEUE


cdef class _Common(Session):
    cdef dict __dict__
    cdef object __weakref__
    cdef public object request
    cdef public object subprotocol
    cdef object _fields
    cdef object _options
    cdef Connection _protocol
    cdef object _transport
    cdef Inbox _inbox
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
    cpdef received(self, bytes data, double now)
    cpdef writable(self)
    cdef _wake(self)
    @cython.locals(paused=bint)
    cdef _pace(self)
    cdef _next(self)
    cdef _set_deadline(self)
    cdef bint _send(self, bytes data) except -1
    cdef bytes _encode(self, message)


cdef class WebSocket(_Common):
    cdef object _loop
    cdef Wait _spare
    cdef Wait _waiter
    cdef _Sending _sending
    cdef list _more_waiters
    cdef object _scope_task

    @cython.locals(waiter=Wait, more=list, each=Wait)
    cdef _wake(self)
    @cython.locals(waiter=Wait)
    cdef Wait _wait(self)


cdef class _Receiving(Attempt):
    cdef WebSocket _ws
    cdef bint _is_iterated

    @cython.locals(ws=WebSocket)
    cpdef Wait attempt(self)


cdef class _Sending(Attempt):
    cdef WebSocket _ws
    cdef object _message
    cdef bint _was_sent

    cdef take(self, message)
    @cython.locals(ws=WebSocket)
    cpdef Wait attempt(self)


cdef class _Messages:
    cdef WebSocket _ws
    cdef _Receiving _receiving


cdef class SyncWebSocket(_Common):
    cdef object _lock
    cdef object _changed

    cdef _wake(self)
