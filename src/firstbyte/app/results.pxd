from firstbyte.http.response cimport Response
