import cython

from firstbyte._clock cimport perf_counter
from firstbyte.engine.connection cimport Connection
from firstbyte.engine.observer cimport Hooks
from firstbyte.engine.pool cimport Pool, Worker
from firstbyte.engine.reactor cimport Reactor
from firstbyte.http.handler cimport Endpoint, Pace
from firstbyte.http.request cimport Request
from firstbyte.http.response cimport FileBody, Response


cdef double PACE_CAP, SLOW  # compared for every request
cdef long PROVEN


cdef class ThreadDriver(Pool):
    cdef Reactor _reactor
    cdef public Worker _leader
    cdef unsigned long _calls
    cdef bint _dozing
    cdef object _bell
    cdef public bint hurry

    @cython.locals(pace=Pace, hooks=Hooks, leader=Worker, start=double, elapsed=double, response=Response)
    cpdef call(self, Connection connection, Request request, Endpoint endpoint)
    @cython.locals(waits=bint)
    cdef bint _is_risky(self, Connection connection, Endpoint endpoint) except -1
    @cython.locals(pace=Pace)
    cdef bint _is_exhausted(self) except -1
    cpdef bint detach(self, Connection connection) except -1
