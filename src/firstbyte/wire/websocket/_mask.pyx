"""The second body of `frames.mask`, eight bytes at a time: 0.06 µs for 100 bytes, where Python's large numbers take 0.7."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy


def mask(data, bytes key):
    """See `frames.mask`."""
    cdef const unsigned char[::1] view = data
    cdef Py_ssize_t size = view.shape[0], at = 0
    cdef bytes masked = PyBytes_FromStringAndSize(NULL, size)
    cdef char *out = PyBytes_AS_STRING(masked)
    cdef const char *given
    cdef const char *turned = PyBytes_AS_STRING(key)
    cdef unsigned long long word, keys
    if not size:
        return masked
    given = <const char *>&view[0]
    memcpy(&keys, turned, 4)
    memcpy(<char *>&keys + 4, turned, 4)
    while at + 8 <= size:
        memcpy(&word, given + at, 8)
        word ^= keys
        memcpy(out + at, &word, 8)
        at += 8
    while at < size:
        out[at] = given[at] ^ turned[at & 3]
        at += 1
    return masked
