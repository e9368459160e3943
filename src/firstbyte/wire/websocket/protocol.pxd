import cython

from firstbyte.wire.websocket.frames cimport FrameReader, encode_frame


cdef class Connection:
    cdef bytes _answer
    cdef object _compressor
    cdef bytes _control
    cdef object _decoder
    cdef object _decompressor
    cdef bint _defers_close
    cdef bint _is_compressed
    cdef int _kind
    cdef Py_ssize_t _max_message
    cdef bytearray _message
    cdef object _new_key
    cdef FrameReader _reader
    cdef list _replies
    cdef int _sending
    cdef bint _sends_compressed
    cdef public int close_code
    cdef public str close_reason
    cdef public bint close_sent
    cdef public bint is_client
    cdef public bint is_over

    cpdef list receive_data(self, bytes data)
    @cython.locals(payload=bytes)
    cpdef receive_message(self, bytes data)
    cpdef bytes take_replies(self)
    @cython.locals(reader=FrameReader, piece=bytes)
    cdef _read_frames(self, list events)
    @cython.locals(reader=FrameReader)
    cdef _begin_frame(self)
    @cython.locals(reader=FrameReader, message=bytearray, is_last=bint)
    cdef _take_data(self, bytes piece, list events)
    cpdef bytes send_text(self, text)
    cpdef bytes send_binary(self, bytes data)
    cdef bytes _message_frame(self, int opcode, bytes payload)
    cdef bytes _frame(self, int opcode, bytes payload, bint fin=*, bint compressed=*)
    cdef _check_open(self)
