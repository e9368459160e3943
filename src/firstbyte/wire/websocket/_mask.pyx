"""The second bodies of `frames.mask` and `frames.unmask`, eight bytes at a time and without copies: 0.06 µs for 100 bytes,
where Python's large numbers take 0.7."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy


def mask(data, bytes key):
    """See `frames.mask`."""
    cdef const unsigned char[::1] view
    if len(key) != 4:
        raise ValueError("a mask has four bytes")
    if PyBytes_CheckExact(data):  # which needs no view
        return _masked(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), PyBytes_AS_STRING(key))
    view = data
    return _masked(<const char *>&view[0], view.shape[0], PyBytes_AS_STRING(key)) if view.shape[0] else b""


def unmask(bytes data, Py_ssize_t at):
    """See `frames.unmask`."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data) - at - 4
    if at < 0 or size < 0:
        raise ValueError("there is no mask")
    return _masked(PyBytes_AS_STRING(data) + at + 4, size, PyBytes_AS_STRING(data) + at)


cdef bytes _masked(const char *given, Py_ssize_t size, const char *key):
    cdef bytes masked = PyBytes_FromStringAndSize(NULL, size)
    cdef char *out = PyBytes_AS_STRING(masked)
    cdef Py_ssize_t at = 0
    cdef unsigned long long word, keys
    memcpy(&keys, key, 4)
    memcpy(<char *>&keys + 4, key, 4)
    while at + 8 <= size:
        memcpy(&word, given + at, 8)
        word ^= keys
        memcpy(out + at, &word, 8)
        at += 8
    while at < size:
        out[at] = given[at] ^ key[at & 3]
        at += 1
    return masked
