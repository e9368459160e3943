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


cdef class Tree:
    cdef public dict static
    cdef public _Node _root

    @cython.locals(segments=list, values=list, node=_Node, parameters=dict, index=Py_ssize_t)
    cpdef tuple find(self, str raw_path)


@cython.locals(digits=str)
cpdef _read_int(str text)


@cython.locals(segment=str, following=_Node, found=_Node, edge=_Edge, text=str, before=str, behind=str)
cdef _Node _walk(_Node node, list segments, Py_ssize_t index, list values)
