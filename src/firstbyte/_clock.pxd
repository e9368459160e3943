cpdef double monotonic() noexcept
cpdef double perf_counter() noexcept
