"""The second body of `_sys.receive`, `transmit`, `Place` and `EpollPoller.poll`: the same calls with less between.

All but the last do not give up the interpreter's lock: on a descriptor that never blocks, that would cost more than the
call.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from libc.errno cimport EINTR, errno
from libc.math cimport ceil
from libc.string cimport memcpy

cdef extern from "sys/socket.h" nogil:
    ssize_t c_recv "recv"(int fd, void *buffer, size_t size, int flags)
    ssize_t c_send "send"(int fd, const void *buffer, size_t size, int flags)
    int MSG_NOSIGNAL

cdef extern from *:
    """
    #ifndef MSG_MORE
    #define MSG_MORE 0
    #endif

    #ifdef __GLIBC__
    #include <malloc.h>
    #else
    #define M_MMAP_THRESHOLD 0
    #define M_TRIM_THRESHOLD 0
    static int mallopt(int option, int value) { return 0; }
    #endif

    #ifdef __linux__
    #include <sys/epoll.h>
    #else  /* where nobody calls `poll` */
    struct epoll_event { unsigned int events; union { int fd; } data; };
    static int epoll_wait(int epfd, struct epoll_event *events, int room, int timeout) { errno = ENOSYS; return -1; }
    #endif
    """
    int MSG_MORE
    int M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
    int mallopt(int option, int value)
    ctypedef union epoll_data:
        int fd
    cdef struct epoll_event:
        unsigned int events
        epoll_data data
    int epoll_wait(int epfd, epoll_event *events, int room, int timeout) nogil

cdef enum:
    SIZE = 65536  # _sys.RECV
    EVENTS = 256  # of one poll; the others come with the next
    AT_ONCE = 1048576  # bytes of a body received before other connections have their turn

cdef char buffer[SIZE]  # one for all threads, which hold the interpreter's lock here


def poll(int fd, double timeout):
    """See `_sys.Poller.poll`; `fd` is that of an epoll object. A signal ends the wait, and nothing is ready."""
    cdef epoll_event events[EVENTS]
    cdef int count, index
    cdef int milliseconds = -1 if timeout < 0 else <int>ceil(min(timeout, 1e6) * 1000)
    with nogil:
        count = epoll_wait(fd, events, EVENTS, milliseconds)
    if count < 0:
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)
        PyErr_CheckSignals()
    return [(events[index].data.fd, events[index].events) for index in range(count)]


cpdef bytes receive(int fd):
    """See `_sys.receive`."""
    cdef ssize_t count
    while True:
        count = c_recv(fd, buffer, SIZE, 0)
        if count >= 0:
            return PyBytes_FromStringAndSize(buffer, count)
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)


cdef class Place:
    """See `_sys.Place`. Nobody else sees the bytes before they are filled."""

    def __init__(self, Py_ssize_t size):
        self._whole = PyBytes_FromStringAndSize(NULL, size)
        self._size = self.left = size

    cpdef put(self, bytes piece):
        """See `_sys.Place.put`."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(piece)
        if size > self.left:
            raise ValueError(f"{size} bytes are more than the {self.left} that are left")
        memcpy(PyBytes_AS_STRING(self._whole) + self._size - self.left, PyBytes_AS_STRING(piece), size)
        self.left -= size

    cpdef Py_ssize_t receive(self, int fd) except -1:
        """See `_sys.Place.receive`."""
        cdef ssize_t count
        while True:
            count = c_recv(fd, PyBytes_AS_STRING(self._whole) + self._size - self.left, min(self.left, AT_ONCE), 0)
            if count >= 0:
                self.left -= count
                return count
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)

    cpdef bytes take(self):
        """See `_sys.Place.take`."""
        if self.left:
            raise ValueError(f"{self.left} bytes are left")
        whole, self._whole, self._size = self._whole, b"", 0
        return whole


cpdef Py_ssize_t transmit(int fd, data) except -1:
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


def keep_memory(int large, int kept):
    """See `_sys.keep_memory`."""
    mallopt(M_MMAP_THRESHOLD, large)
    mallopt(M_TRIM_THRESHOLD, kept)
