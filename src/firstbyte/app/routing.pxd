import cython


cdef class _Edge:
    cdef public object parameter
    cdef public object read
    cdef public bint around
    cdef public bint takes_rest
    cdef public _Node node


cdef class _Node:
    cdef public object value
    cdef public tuple names
    cdef public dict literal
    cdef public list edges


@cython.locals(segment=str, following=_Node, found=_Node, edge=_Edge, text=str, before=str, behind=str)
cdef _Node _walk(_Node node, list segments, Py_ssize_t index, list values)
