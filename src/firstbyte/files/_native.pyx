"""The second body of `store.is_still`: the same call without a Python object for each of its facts."""

from cpython.bytes cimport PyBytes_AS_STRING

cdef extern from *:
    """
    #include <sys/stat.h>
    #ifdef __APPLE__
    #define st_mtim st_mtimespec
    #define st_ctim st_ctimespec
    #endif
    """
    cdef struct timespec:
        long long tv_sec
        long long tv_nsec

    cdef struct facts_t "stat":
        timespec st_mtim
        timespec st_ctim
        long long st_size
        unsigned long long st_ino

    int c_stat "stat"(const char *path, facts_t *facts) nogil


def is_still(bytes path not None, signature):
    """See `store.is_still`."""
    cdef const char *name = PyBytes_AS_STRING(path)
    cdef facts_t facts
    cdef int failed
    with nogil:  # the file system may be slow
        failed = c_stat(name, &facts)
    if failed:
        return False
    modified, changed, size, inode = <tuple>signature  # which is one, if not that very type
    return (
        facts.st_size == <long long>size
        and facts.st_ino == <unsigned long long>inode
        and facts.st_mtim.tv_sec * 1_000_000_000 + facts.st_mtim.tv_nsec == <long long>modified
        and facts.st_ctim.tv_sec * 1_000_000_000 + facts.st_ctim.tv_nsec == <long long>changed
    )
