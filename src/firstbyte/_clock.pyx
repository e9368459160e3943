"""The clocks of `time` as C calls: two for each request, which as Python's functions cost more than they measure."""

from cpython.time cimport monotonic as read_monotonic, perf_counter as read_perf_counter


cpdef double monotonic() noexcept:
    """See `time.monotonic`."""
    return read_monotonic()


cpdef double perf_counter() noexcept:
    """See `time.perf_counter`."""
    return read_perf_counter()
