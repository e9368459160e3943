from firstbyte.http.handler cimport Answered
from firstbyte.waiting cimport Begun
