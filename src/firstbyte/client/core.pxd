from firstbyte.client.sending cimport Sender


cdef class Core:
    cdef object _app
    cdef object _connector
    cdef public dict _messages
    cdef object _network
    cdef Sender _sender
    cdef object _settings
