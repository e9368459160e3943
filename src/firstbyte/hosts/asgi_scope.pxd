from firstbyte.http.request cimport Request


cpdef dict scope_of(Request request, dict state)
