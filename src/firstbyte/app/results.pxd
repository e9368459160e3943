from firstbyte.http.request cimport Request
from firstbyte.http.response cimport Response


cpdef to_response(value, Request request, bint as_json=*)
