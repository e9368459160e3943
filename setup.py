"""Compiles the modules on a small request's way, from the same source that runs without a compiler.

FIRSTBYTE_PURE=1 builds plain Python; FIRSTBYTE_REQUIRE_COMPILED=1 makes a build fail that could not compile; without
either, what cannot be compiled here is left as it is.
"""

import os
from pathlib import Path

from setuptools import Extension, setup

COMPILED = (
    "app/coroutine_calls",
    "app/plain_calls",
    "app/resolving",
    "app/results",
    "app/routing",
    "client/core",
    "client/exchange",
    "client/network",
    "client/pool",
    "client/request",
    "client/response",
    "client/sending",
    "client/timeouts",
    "client/watched",
    "engine/collector",
    "engine/connection",
    "engine/exchange",
    "engine/first_step",
    "engine/hub",
    "engine/loop",
    "engine/observer",
    "engine/output",
    "engine/pool",
    "engine/reactor",
    "engine/services",
    "engine/threads",
    "engine/trial",
    "engine/upgrade",
    "files/known",
    "files/pages",
    "files/static",
    "files/store",
    "hosts/asgi",
    "hosts/asgi_http",
    "hosts/asgi_scope",
    "hosts/environ",
    "hosts/wsgi",
    "http/handler",
    "http/headers",
    "http/request",
    "http/response",
    "http/upgrade",
    "proxy/fields",
    "proxy/handler",
    "proxy/upstreams",
    "waiting",
    "websocket",
    "wire/body",
    "wire/head",
    "wire/messages",
    "wire/reader",
    "wire/response",
    "wire/websocket/frames",
    "wire/websocket/inbox",
    "wire/websocket/keepalive",
    "wire/websocket/protocol",
    "wire/writer",
)
"""Modules with a `.pxd` beside them that gives their attributes and variables C types."""
NATIVE = ("_clock", "_waiting", "engine/_native", "files/_native", "wire/websocket/_mask")
"""Second bodies, in Cython alone, of functions of `time`, `waiting.py`, `engine/_sys.py`, `files/store.py` and
`frames.py`."""
REQUIRED = os.environ.get("FIRSTBYTE_REQUIRE_COMPILED") == "1"
DIRECTIVES = {"annotation_typing": False, "language_level": 3, "always_allow_keywords": True}
REUSED = (
    "client/request",
    "client/timeouts",
    "engine/first_step",
    "engine/observer",
    "hosts/wsgi",
    "http/handler",
    "http/request",
    "http/response",
    "wire/body",
)
"""Those of them with objects of which each request has one: what 32 of each class leave is used for the next. None may
have a `__del__`, which would not be called a second time."""


def extensions() -> list[Extension]:
    """What is to be compiled; nothing where that is not wanted, or Cython is not there."""
    if os.environ.get("FIRSTBYTE_PURE") == "1":
        return []
    try:
        from Cython.Build import cythonize
        from Cython.Compiler.Options import get_directive_defaults
    except ImportError:
        if REQUIRED:
            raise
        return []
    # Cython takes this for all classes of a module, too, and not only from a decorator, which plain Python could not
    # import; its table of such options does not say so.
    get_directive_defaults().setdefault("freelist", 0)
    sources = [f"{name}.py" for name in COMPILED] + [f"{name}.pyx" for name in NATIVE]
    modules: list[Extension] = []
    for is_reused, directives in ((False, DIRECTIVES), (True, {**DIRECTIVES, "freelist": 32})):
        found = [
            Extension(
                f"firstbyte.{source.rpartition('.')[0].replace('/', '.')}",
                [str(Path("src/firstbyte", source))],
                # The error is where Cython hands on a C method as a function, and calls it with an argument too few.
                extra_compile_args=["-O2", "-g0", "-Werror=incompatible-pointer-types"],
                optional=not REQUIRED,
            )
            for source in sources
            if (source.removesuffix(".py") in REUSED) == is_reused
        ]
        modules += cythonize(
            found, compiler_directives=directives, build_dir="build/cython", quiet=True, nthreads=os.cpu_count() or 1
        )
    return modules


setup(ext_modules=extensions())
