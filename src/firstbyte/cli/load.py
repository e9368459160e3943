"""Finds the app that a command line names, and says in one line why it cannot."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from firstbyte.errors import AppLoadError, ConfigurationError
from firstbyte.hosts.detect import as_handler
from firstbyte.http.handler import Handler

_DEFAULT = "app"


def load_app(
    name: str,
    interface: Literal["auto", "native", "wsgi", "asgi"] = "auto",
    *,
    factory: bool = False,
    multiprocess: bool = False,
) -> Handler:
    """The handler at "module:attribute" or "file.py:attribute"; the attribute may be dotted and is "app" if left out.

    What is no Handler but a WSGI or ASGI application becomes one; `interface` says which, "auto" finds out. With
    `factory` the attribute is a function that makes the application. `multiprocess` is told to a WSGI application. The
    current folder, or the file's, comes first on the module path. Raises AppLoadError with what to do about it, and
    with the traceback of an exception of the module itself.
    """
    place, _, attribute = name.rpartition(":") if ":" in name else (name, "", "")
    attribute = attribute or _DEFAULT
    is_file = place.endswith(".py") or "/" in place
    module = _load_file(place) if is_file else _load_module(place)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise AppLoadError(f"{place} has no {attribute!r}{_others(module, place)}")
        found = getattr(found, part)
    if factory:
        if not callable(found):
            raise AppLoadError(f"{place}:{attribute} is {type(found).__name__}, but a factory is a function")
        try:
            found = found()
        except (Exception, SystemExit) as error:
            raise _failed(f"{place}:{attribute}", error, "cannot make the app") from None
    try:
        return as_handler(found, interface, multiprocess=multiprocess)
    except ConfigurationError as error:
        others = _others(module, place) if isinstance(found, type) else ""
        raise AppLoadError(f"{place}:{attribute} cannot be served, since {error}{others}") from None


def _load_module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise AppLoadError(f"{name!r} is no module name: write module:app or file.py:app")
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise AppLoadError(
                f"there is no module {error.name!r} in {Path.cwd()} nor installed: is the name right, and the folder?"
            ) from None
        raise _failed(name, error) from None
    except (Exception, SystemExit) as error:
        raise _failed(name, error) from None


def _load_file(place: str) -> ModuleType:
    path = Path(place)
    if not path.is_file():
        raise AppLoadError(f"there is no file {place}")
    if path.stem in sys.stdlib_module_names:
        raise AppLoadError(f"{place} has the name of a module of Python's own, which it would replace: rename it")
    sys.path.insert(0, str(path.parent.resolve()))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise AppLoadError(f"{place} is no Python file: its name must end with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # as an import would: dataclasses and pickle look there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _failed(place, error) from None
    return module


def _failed(place: str, error: BaseException, what: str = "cannot be imported") -> AppLoadError:
    """The error for a module, or a factory, that raised, with its traceback from the user's first line on."""
    trace = ""
    if not isinstance(error, ConfigurationError):
        lines = traceback.TracebackException.from_exception(error)
        for index, frame in enumerate(lines.stack):
            if frame.filename != __file__ and "importlib" not in frame.filename:
                del lines.stack[:index]
                break
        trace = "".join(lines.format())
    return AppLoadError(f"{place} {what}: {type(error).__name__}: {error}", trace)


def _others(module: ModuleType, place: str) -> str:
    names = [name for name, value in vars(module).items() if _looks_like_an_app(value)]
    if not names:
        return ": it defines no App"
    return f": did you mean {' or '.join(f'{place}:{name}' for name in names[:3])}?"


def _looks_like_an_app(value: Any) -> bool:
    """By its type alone: a proxy of a framework's current request does not take to being asked."""
    kind = type(value)
    if isinstance(value, type):
        return False
    call = getattr(kind, "__call__", None)  # noqa: B004 - with self: (environ, start_response), (scope, receive, send)
    return callable(getattr(kind, "resolve", None)) or (
        inspect.isfunction(call) and call.__code__.co_argcount in (3, 4)
    )
