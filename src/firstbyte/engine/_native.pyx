"""The second body of `_sys.receive` and `_sys.transmit`: the same calls without a socket object between.

They do not give up the interpreter's lock: on a descriptor that never blocks, that would cost more than the call.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_SetFromErrno
from libc.errno cimport EINTR, errno

cdef extern from "sys/socket.h" nogil:
    ssize_t c_recv "recv"(int fd, void *buffer, size_t size, int flags)
    ssize_t c_send "send"(int fd, const void *buffer, size_t size, int flags)
    int MSG_NOSIGNAL

cdef extern from *:
    """
    #ifndef MSG_MORE
    #define MSG_MORE 0
    #endif
    """
    int MSG_MORE

cdef enum:
    SIZE = 65536  # _sys.RECV

cdef char buffer[SIZE]  # one for all threads, which hold the interpreter's lock here


def receive(int fd):
    """See `_sys.receive`."""
    cdef ssize_t count
    while True:
        count = c_recv(fd, buffer, SIZE, 0)
        if count >= 0:
            return PyBytes_FromStringAndSize(buffer, count)
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)


def transmit(int fd, data):
    """See `_sys.transmit`."""
    return _send(fd, data, MSG_NOSIGNAL)


def transmit_more(sock, data):
    """See `_sys.transmit_more`."""
    return _send(sock.fileno(), data, MSG_NOSIGNAL | MSG_MORE)


cdef ssize_t _send(int fd, data, int flags) except -1:
    cdef const unsigned char[::1] view
    if type(data) is bytes:  # which needs no view
        return _send_from(fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), flags)
    view = data
    return _send_from(fd, &view[0], view.shape[0], flags)


cdef ssize_t _send_from(int fd, const void *data, size_t size, int flags) except -1:
    cdef ssize_t count
    while True:
        count = c_send(fd, data, size, flags)
        if count >= 0:
            return count
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)
