"""The second bodies of `waiting.step` and `take_step`, and what gives the value of an `Attempt` without a StopIteration:
calls of C alone."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF

from firstbyte.waiting cimport Attempt, Begun

cdef extern from "Python.h":
    ctypedef int (*sendfunc)(object, object, PyObject **) except -1
    ctypedef struct PyAsyncMethods:
        sendfunc am_send
    ctypedef struct PyTypeObject:
        PyAsyncMethods *tp_as_async
    int PyContext_Enter(object) except -1
    int PyContext_Exit(object) except -1
    int PyIter_Send(object, object, PyObject **) except -1

cdef enum:  # PySendResult
    RETURN = 0
    NEXT = 1


def step(context, coroutine):
    """See `waiting.step`."""
    cdef PyObject *given = NULL
    cdef int kind
    PyContext_Enter(context)
    try:
        kind = PyIter_Send(coroutine, None, &given)
    finally:
        PyContext_Exit(context)
    try:
        if kind == RETURN:
            raise StopIteration(<object>given)
        return <object>given
    finally:
        Py_XDECREF(given)


def take_step(Begun begun):
    """See `waiting.take_step`."""
    cdef PyObject *given = NULL
    begun.is_over = PyIter_Send(begun._coroutine, None, &given) == RETURN
    if begun.is_over:
        begun.value = <object>given
    else:
        begun.awaits = <object>given
    Py_XDECREF(given)


def give_values(type attempt):
    """Has an Attempt be asked for its next step by `PyIter_Send`, as the interpreter does with its own coroutines."""
    (<PyTypeObject *>attempt).tp_as_async.am_send = <sendfunc>&_send


cdef int _send(object attempt, object value, PyObject **result) except -1:
    result[0] = NULL
    cdef Attempt asked = <Attempt>attempt
    wait = asked.step()
    given = wait
    if wait is None:
        given, asked.value = asked.value, None
    Py_INCREF(given)
    result[0] = <PyObject *>given
    return RETURN if wait is None else NEXT
