import cython

from firstbyte.hosts.environ cimport Environs
from firstbyte.http.request cimport Request
from firstbyte.http.handler cimport Endpoint, Pace
from firstbyte.http.response cimport Response, assembled

cdef dict _statuses
cdef frozenset _BODILESS
cdef dict _names
cdef set _types
cdef dict _lengths
cdef int _OTHER
cdef int _LENGTH
cdef int _TYPE


cdef bint _may_have_body(status) except -1


cdef class WSGI:
    cdef object __weakref__
    cdef public object app
    cdef public str name
    cdef public Environs environs
    cdef object _places
    cdef public dict _known
    cdef Endpoint _sockets

    @cython.locals(head=bytes, is_as_sent=bint, known=Endpoint, endpoint=Endpoint)
    cpdef Endpoint resolve(self, Request request)


cdef class _Place:
    cdef object _app
    cdef Environs _environs
    cdef public object endpoint
    cdef Pace _ending


cdef class _Start:
    cdef public int status
    cdef public object length
    cdef public bint sent
    cdef public object written
    cdef public object begun
    cdef public bint wrote
    cdef Request _request
    cdef object _content_type
    cdef list _fields

    @cython.locals(response=Response)
    cpdef Response response(self, Request request, body)
