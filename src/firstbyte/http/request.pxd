from firstbyte.http.headers cimport Headers


cdef class Ends:
    cdef public object client
    cdef public object server
    cdef public str scheme
    cdef public object tls
    cdef public object services


cdef class Request:
    cdef object __weakref__
    cdef public str method
    cdef public str raw_path
    cdef public str raw_query
    cdef public str root_path
    cdef public int minor
    cdef public bytes head
    cdef public Py_ssize_t _fields_at
    cdef public object client
    cdef public object server
    cdef public str scheme
    cdef public object path_params
    cdef public object host_params
    cdef public object tls
    cdef public object forwarded_host
    cdef public object trailers
    cdef public object peer
    cdef public Headers _headers
    cdef public object _path
    cdef public object _query
    cdef public object _cookies
    cdef public object _state
    cdef public object _body
    cdef public object _stream
    cdef public object sender
    cdef public object _form
    cdef public object failure
    cdef public Headers failure_headers
    cdef public object app
    cdef public object refusal
    cdef public object _services
    cdef public bint answered

    cdef _begin(self, str method, str raw_path, str raw_query, int minor, bytes head, Py_ssize_t fields_at, Ends ends)
