import cython

from firstbyte.files.store cimport OpenFiles, Served
from firstbyte.http.request cimport Request
from firstbyte.http.response cimport Prepared, Response


cdef class Answer:
    cdef str method
    cdef str raw_path
    cdef Served _served
    cdef tuple _witnesses
    cdef Prepared _prepared
    cdef OpenFiles _files
    cdef double _until

    @cython.locals(prepared=Prepared, served=Served, files=OpenFiles)
    cpdef Response response(self)


cdef class Known:
    cdef dict _answers

    @cython.locals(answer=Answer, response=Response)
    cpdef Response get(self, Request request)


cpdef bytes head_of(Request request)
