"""Which groups a TLS context agrees on keys with: a call of OpenSSL that Python offers from 3.15 on only.

Before that, Python sets one curve or none. One alone costs most clients another round trip or shuts some out; OpenSSL's
own list holds more than the profile has. So OpenSSL is asked itself where Python is linked to it in the usual way.
"""

from __future__ import annotations

import ctypes
import ssl
import sys

_SET_GROUPS_LIST = 92  # SSL_CTRL_SET_GROUPS_LIST of ssl.h: what the macro SSL_CTX_set1_groups_list passes


def set_groups(context: ssl.SSLContext, groups: str) -> bool:
    """Lets `context` use these groups only, by their OpenSSL names with colons between, the preferred one first.

    Returns False, and leaves OpenSSL's own list, where this Python has no way to set them.
    """
    if hasattr(context, "set_groups"):
        context.set_groups(groups)
        return True
    if sys.implementation.name != "cpython" or sys.version_info >= (3, 15):
        return False
    try:
        import _ssl

        control = ctypes.CDLL(_ssl.__file__).SSL_CTX_ctrl
    except (ImportError, AttributeError, OSError):  # OpenSSL is linked into the interpreter, its names are hidden
        return False
    control.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p]
    control.restype = ctypes.c_long
    # The first member of CPython's PySSLContext after the object's header, in 3.11 to 3.14.
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    done: int = control(pointer, _SET_GROUPS_LIST, 0, groups.encode("ascii"))
    return done == 1
