"""The lifespan of a handler without coroutines, entered and left without a loop (with one: `engine/lifespan.py`)."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

from firstbyte._lazy import lazy_logger
from firstbyte.errors import StartupError

logger = lazy_logger("firstbyte.engine")


@contextmanager
def stepped(context: AbstractAsyncContextManager[Any]) -> Iterator[None]:
    """Enters and leaves an asynchronous context that waits for nothing, each in one step.

    Raises StartupError if it cannot be entered. What goes wrong on leaving is logged: all answers have been given.
    """
    try:
        _step(context.__aenter__())
    except StartupError:
        raise
    except Exception as error:
        raise failed_start(error) from error
    try:
        yield
    finally:
        try:
            _step(context.__aexit__(None, None, None))
        except Exception:
            logger.exception("the shutdown of the app failed")


def failed_start(error: BaseException) -> StartupError:
    """What is raised for an exception of the handler's own."""
    import traceback  # here, since most starts succeed

    return StartupError(
        f"the startup failed: {type(error).__name__}: {error}", "".join(traceback.format_exception(error))
    )


def _step(coroutine: Coroutine[Any, Any, Any]) -> None:
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise StartupError("the lifespan waits for something: its handler must say `is_async`, to get a loop")
