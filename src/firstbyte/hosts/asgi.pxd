import cython

from firstbyte.hosts.asgi_http cimport Conversation, conversation_about
from firstbyte.hosts.asgi_scope cimport scope_of
from firstbyte.http.handler cimport Answered, Endpoint
from firstbyte.http.request cimport Request


cdef class ASGI:
    cdef object __weakref__
    cdef public object app
    cdef public dict state
    cdef Endpoint _endpoint

    cpdef Endpoint resolve(self, Request request)
    @cython.locals(scope=dict, conversation=Conversation)
    cpdef _call(self, Request request)
