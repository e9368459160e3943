import cython

from firstbyte.http.headers cimport Headers


cdef class Prepared

cdef dict _content_types


cdef class FileBody:
    cdef public object file
    cdef public long long offset
    cdef public long long count


cdef class LiveBody:
    pass


cdef class Response:
    cdef object __weakref__
    cdef public Headers _headers
    cdef public Prepared _prepared
    cdef public object body
    cdef public object content_type
    cdef public object status
    cdef public object trailers


cdef class Prepared:
    cdef public object status
    cdef public Headers headers
    cdef public object content_type
    cdef public bytes encoded
    cdef public bint is_dated

    @cython.locals(made=Response)
    cpdef Response response(self, object body)


@cython.locals(made=Response)
cpdef Response assembled(object body, object status, object content_type, Prepared prepared=*)
