import cython

from firstbyte.app.routing cimport Tree
from firstbyte.http.handler cimport Endpoint
from firstbyte.http.request cimport Request


cdef class Methods:
    cdef public dict endpoints
    cdef public Endpoint other
    cdef public dict gates
    cdef public bint in_host

    @cython.locals(endpoint=Endpoint)
    cpdef Endpoint find(self, str method)
    cpdef Endpoint admit(self, Request request)


cdef class Site:
    cdef public Tree router
    cdef public object mounts
    cdef public object areas


cdef class Built:
    cdef public bint is_async
    cdef public dict static
    cdef public Site site
    cdef public object hosts
    cdef public Endpoint asterisk
    cdef public object asterisk_gate


cdef class Resolver:
    cdef public object trailing_slash
    cdef public Built _built

    @cython.locals(built=Built, methods=Methods)
    cpdef Endpoint resolve(self, Request request)
    @cython.locals(path=str, site=Site, found=tuple, methods=Methods)
    cdef Endpoint _resolve_path(self, Built built, Request request)
