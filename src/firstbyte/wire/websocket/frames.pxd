import cython

cdef int _WHOLE_TEXT, _WHOLE_BINARY
cdef list _TEXTS, _BINARIES


cdef class FrameReader:
    cdef bint _masked
    cdef bint _deflate
    cdef Py_ssize_t _max_frame
    cdef bytes _buffer
    cdef Py_ssize_t _at
    cdef bytes _key
    cdef public int opcode
    cdef public bint fin
    cdef public bint compressed
    cdef public Py_ssize_t length
    cdef public Py_ssize_t left

    cpdef feed(self, bytes data)
    @cython.locals(first=int, here=Py_ssize_t, length=Py_ssize_t, size=Py_ssize_t)
    cpdef bytes read_whole(self, bytes data, Py_ssize_t limit)
    @cython.locals(
        buffer=bytes, at=Py_ssize_t, here=Py_ssize_t, first=int, opcode=int, second=int, size=Py_ssize_t,
        length="unsigned long long", least="unsigned long long"
    )
    cpdef bint read_header(self) except -1
    @cython.locals(at=Py_ssize_t, size=Py_ssize_t, turn=Py_ssize_t, piece=bytes, key=bytes)
    cpdef bytes read_payload(self)


@cython.locals(first=int, size=Py_ssize_t, bit=int, head=bytes)
cpdef bytes encode_frame(int opcode, bytes payload, bytes key=*, bint fin=*, bint compressed=*)
