from firstbyte.app.results cimport to_response
