import cython

from firstbyte.http.headers cimport Headers
from firstbyte.http.request cimport Request
from firstbyte.http.response cimport FileBody, LiveBody, Response, assembled
from firstbyte.waiting cimport Begun

cdef class Conversation

cdef dict _content_types
cdef int _DIGITS
cdef object CoroutineType
cdef object _nothing
cdef _Done done

cdef _content_type(value)
@cython.locals(digit=int, length='long long')
cdef _length(bytes value)
@cython.locals(made=Conversation)
cpdef Conversation conversation_about(Request request)


cdef class Conversation(LiveBody):
    cdef object __weakref__
    cdef public bint _bodiless
    cdef public bint _complete
    cdef public object _coroutine
    cdef public bint _drops
    cdef public bint _ended
    cdef public FileBody _file
    cdef public object _future
    cdef public bint _gone
    cdef public object _length
    cdef public object _pieces
    cdef public list _queue
    cdef public bint _read_all
    cdef public object _receivers
    cdef public object _refusal
    cdef public Request _request
    cdef public Response _response
    cdef public object _senders
    cdef public bint _sends_trailers
    cdef public object _task
    cdef public Headers _trailers
    cdef public object _wait
    cdef public bint _watches
    cdef public object _yielded

    cpdef begin(self, object coroutine)
    @cython.locals(begun=Begun)
    cpdef bint first_step(self) except -1
    @cython.locals(response=Response, body=bytes, size=Py_ssize_t)
    cpdef Response answer(self)
    cpdef _finish(self)
    cpdef _wake(self, object future=*)
    cdef _begin(self, Request request)
    @cython.locals(response=Response, others=list)
    cdef _start(self, dict message)
    cdef _on_body(self, dict message)


cdef class _Done:
    pass


cdef class _ToSteps:
    pass
