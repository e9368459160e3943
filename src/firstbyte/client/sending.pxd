from firstbyte.client.pool cimport Connection, Pool


cdef class Sender:
    cdef object _connector
    cdef object _network
    cdef Pool _pool

    cdef bint _is_alive(self, Connection connection, bint trusts) except -1
