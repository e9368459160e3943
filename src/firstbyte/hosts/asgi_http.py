"""One request of an ASGI application: `receive`, `send`, and the steps of the application between them.

The application's coroutine is stepped by hand, within the task of the request: up to the first piece of its answer,
then, for as long as it has more to say, by whoever sends the pieces. So all of it runs in one task, and what it answers
is a `Response` like any other, which middleware can see and change. Most are complete when the coroutine ends without
ever having waited: those are one step and one Response of bytes.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Coroutine, Generator, Mapping
from pathlib import Path
from types import CoroutineType
from typing import Any, cast

from firstbyte.errors import ClientDisconnected, HTTPError
from firstbyte.http.headers import Headers, check_field
from firstbyte.http.request import BodyPieces, Request
from firstbyte.http.response import FileBody, LiveBody, Response, assembled
from firstbyte.http.status import has_body, phrase
from firstbyte.waiting import Begun

_PIECE = object()  # what `send` yields to the steps when a piece is to be sent before the application goes on
_NOTHING = object()
_EAGER = sys.version_info >= (3, 12)  # tasks may run within the step of another
_FILE_PIECE = 64 * 1024


class Conversation(LiveBody):
    """The talk with an application about one request. Awaited, it is the Response, whose body it may be itself."""

    __slots__ = (
        "_bodiless", "_complete", "_coroutine", "_drops", "_ended", "_file", "_future", "_gone", "_length", "_pieces",
        "_queue", "_read_all", "_receivers", "_refusal", "_request", "_response", "_senders", "_sends_trailers",
        "_task", "_trailers", "_wait", "_watches", "_yielded",
    )  # fmt: skip

    def __init__(self, request: Request) -> None:
        self._begin(request)

    def _begin(self, request: Request) -> None:
        """`__init__` for `conversation_about`: compiled, it is a plain C function."""
        self._request = request
        self._coroutine: Coroutine[Any, None, None]
        self._task: asyncio.Task[Any] | None = None
        self._ended = False  # the application has returned or raised
        self._future: asyncio.Future[Any] | None = None  # what it waits for
        self._yielded: Any = _NOTHING  # by the first step, which nobody has waited for yet
        self._wait: _Wait | None = None  # what the task waits for in its stead
        # of the request
        self._pieces: BodyPieces | None = None
        self._read_all = False
        self._gone = False  # nobody is there any more to receive from and to send to
        self._watches = False  # the peer tells when it goes
        self._refusal: HTTPError | None = None  # the body was not to be read
        self._receivers: list[asyncio.Future[None]] | None = None  # of those who wait for the end
        # of the answer
        self._response: Response | None = None  # begun, its body is not on it yet
        self._length: int | None = None  # as its Content-Length says
        self._bodiless = False  # what there is of a body is not to be sent
        self._drops = False  # nor is its length to be told
        self._queue: list[bytes] = []
        self._file: FileBody | None = None  # what is sent in the place of pieces
        self._senders: list[asyncio.Future[None]] | None = None  # whose pieces have not been taken
        self._sends_trailers = False
        self._trailers: Headers | None = None
        self._complete = False

    def begin(self, coroutine: Awaitable[None]) -> None:
        """Takes what the application returned for being called."""
        self._coroutine = coroutine if type(coroutine) is CoroutineType else _awaiting(coroutine)

    # -- what the application is given

    async def receive(self) -> dict[str, Any]:
        """A piece of the body as soon as it is here; behind the last, http.disconnect when all is over."""
        if not (self._gone or self._complete or self._read_all):
            return await self._read()
        if not (self._gone or self._complete):
            if not self._watches and self._request.peer is not None:
                self._watches = True
                self._request.peer.when_gone(self._leave)
            if not self._gone:
                over = asyncio.get_running_loop().create_future()
                if self._receivers is None:
                    self._receivers = []
                self._receivers.append(over)
                await over
        return {"type": "http.disconnect"}

    async def _read(self) -> dict[str, Any]:
        pieces = self._pieces
        if pieces is None:
            pieces = self._pieces = self._request.stream()
        try:
            piece = b"" if pieces.ended else await anext(pieces, b"")
        except ClientDisconnected:
            self._leave()
            return {"type": "http.disconnect"}
        except HTTPError as error:
            self._refusal = error
            self._leave()
            return {"type": "http.disconnect"}
        self._read_all = not piece or pieces.ended
        return {"type": "http.request", "body": piece, "more_body": not self._read_all}

    def send(self, message: Mapping[str, Any]) -> Awaitable[None]:
        """Takes a message of the answer. Raises OSError when the client has left.

        Raises RuntimeError for a message out of order, ValueError and TypeError for what cannot be sent.
        """
        # Few messages have to wait, and a coroutine for each of the others would cost more than all the rest.
        if self._gone:
            raise ClientDisconnected("the client has left")
        fields: dict[str, Any] = message if type(message) is dict else dict(message)
        kind = fields["type"]
        if self._response is None:
            if kind == "http.response.start":
                self._start(fields)
            elif kind == "http.response.early_hint":
                self._request.early_hints([_text(link, "a link") for link in fields.get("links", ())])
            else:
                raise _out_of_place(kind, "before http.response.start")
        elif self._complete:
            raise _out_of_place(kind, "after the answer was complete")
        elif kind == "http.response.body":
            return self._on_body(fields)
        elif kind == "http.response.trailers":
            self._on_trailers(fields)
        elif kind == "http.response.pathsend":
            self._on_path(fields)
        else:
            raise _out_of_place(kind, "a second time" if kind == "http.response.start" else "after http.response.start")
        return done

    def _start(self, message: dict[str, Any]) -> None:
        status = message["status"]
        response = assembled(b"", 200, None) if status == 200 else Response(b"", status)
        others: list[tuple[str, str]] | None = None
        for name, value in message.get("headers", ()):
            try:
                key = name if name == b"content-type" or name == b"content-length" else name.lower()
                if key == b"content-length":
                    self._length = _length(value)
                elif key == b"content-type" and response.content_type is None:
                    response.content_type = _content_type(value)
                elif key not in _SERVERS_OWN and (key != b"connection" or value.strip().lower() == b"close"):
                    if others is None:
                        others = []
                    others.append((name.decode("latin-1"), value.decode("latin-1")))
            except (AttributeError, TypeError):
                raise TypeError(f"the name and value of a header are bytes, not {name!r}: {value!r}") from None
        if others is not None:
            headers = response.headers
            for field in others:
                headers.add(*field)
        if status != 200 and (status == 205 or not has_body(status)):  # many give one, and servers leave it out
            self._bodiless = self._drops = True
            if status != 304:
                self._length = 0 if status == 205 else None  # RFC 9110 section 15.3.6
        elif self._request.method == "HEAD":
            self._bodiless = True
        self._sends_trailers = bool(message.get("trailers", False))
        self._response = response

    def _on_body(self, message: dict[str, Any]) -> Awaitable[None]:
        if self._file is not None:
            raise RuntimeError("http.response.body comes after http.response.pathsend")
        piece = message.get("body", b"")
        if type(piece) is not bytes:
            if not isinstance(piece, bytearray | memoryview):
                raise TypeError(f"the body of {message['type']} is bytes, not {type(piece).__name__}")
            piece = bytes(piece)
        if message.get("more_body", False):
            return self._give(piece)
        if piece and not self._drops:
            self._queue.append(piece)
        if not self._sends_trailers:
            self._finish()
        return done

    def _on_trailers(self, message: dict[str, Any]) -> None:
        if not self._sends_trailers:
            raise RuntimeError("http.response.trailers comes without being announced by http.response.start")
        if self._trailers is None:
            self._trailers = Headers()
        for name, value in message.get("headers", ()):
            self._trailers.add(_text(name, "the name of a header"), _text(value, "the value of a header"))
        if not message.get("more_trailers", False):
            self._finish()

    def _on_path(self, message: dict[str, Any]) -> None:
        response = self._response
        assert response is not None
        if self._queue or self._file is not None or response.body is self:
            raise RuntimeError("http.response.pathsend comes after a body")
        file = Path(message["path"]).open("rb")  # noqa: SIM115 - whoever sends the response closes it
        self._file = FileBody(file, 0, file.seek(0, 2))
        if not self._sends_trailers:
            self._finish()

    async def _give(self, piece: bytes) -> None:
        """Has a piece sent, and returns when the next may come."""
        if self._bodiless:
            piece = b""  # the head can go
        self._queue.append(piece)
        if self.in_own_task():
            await to_steps
        else:  # a task of the application's own
            taken = asyncio.get_running_loop().create_future()
            if self._senders is None:
                self._senders = []
            self._senders.append(taken)
            self._wake()
            await taken
        if self._gone:
            raise ClientDisconnected("the client has left")
        if self._request.peer is not None and not self._bodiless:
            await self._request.peer.drain()

    def in_own_task(self) -> bool:
        """Whether the application's own task runs, not one that it has made."""
        task = asyncio.current_task()
        if self._task is None:
            self._task = task  # in the first step, where no other can run
        return task is self._task

    def _finish(self) -> None:
        self._complete = True
        if self._wait is not None:
            self._wake()
        if self._receivers:
            self._tell(self._receivers)

    def _leave(self) -> None:
        """Nobody is there any more."""
        self._gone = True
        self._tell(self._receivers)
        self._tell(self._senders)

    @staticmethod
    def _tell(waiters: list[asyncio.Future[None]] | None) -> None:
        while waiters:
            waiter = waiters.pop(0)
            if not waiter.done():
                waiter.set_result(None)

    # -- what the engine, or middleware, gets

    def first_step(self) -> bool:
        """Steps the application up to where it waits; whether it has ended. To be awaited if it has not."""
        if _EAGER:
            self._task = asyncio.current_task()
        try:
            begun = Begun(self._coroutine)
        except Exception:
            self._close_file()
            if self._refusal is None:
                raise  # else it was told that there is no more to read
            self._ended = True
            return True
        self._ended = begun.is_over
        if not begun.is_over:
            self._yielded = begun.awaits
        return self._ended

    def __await__(self) -> Generator[Any, None, Response]:
        if self._task is None:
            self._task = asyncio.current_task()
        try:
            yield from self.steps(self._has_output)
        except Exception:
            if self._refusal is None:
                raise  # else it was told that there is no more to read
        return self.answer()

    def answer(self) -> Response:
        """The response as far as it is known; raises RuntimeError for an application that has ended without one."""
        response = self._response
        if self._refusal is not None:
            self._close_file()
            return refused(self._refusal)
        if self._gone and not self._complete:
            self._close_file()
            raise ClientDisconnected("the client has left")
        if response is None or (self._ended and not self._complete):
            self._close_file()
            raise RuntimeError(
                f"the application returned {'without' if response is None else 'before the end of'} an answer"
            )
        if self._complete and self._ended and not self._sends_trailers and type(response.body) is bytes:
            if self._file is None:
                response.body = body = b"".join(self._queue)
                size = len(body)
            else:
                response.body, size = self._file, self._file.count
                self._file = None  # whoever sends the response closes it
            if self._length is not None and self._length != size:
                response.headers.add("Content-Length", str(self._length))
            return response
        if self._complete and self._length is None:
            self._length = sum(map(len, self._queue)) if self._file is None else self._file.count
        if self._length is not None and not self._sends_trailers:
            response.headers["Content-Length"] = str(self._length)
        response.body = self
        return response

    @property
    def waits(self) -> bool:
        """See `LiveBody`: in `send`, where the application may give up."""
        return True

    @property
    def trailers(self) -> Headers | None:
        """See `LiveBody`."""
        return self._trailers

    @property
    def lingers(self) -> bool:
        """See `LiveBody`: the application goes on when its answer is complete."""
        return not self._ended

    def __aiter__(self) -> Conversation:
        return self

    async def __anext__(self) -> bytes:
        if self._file is not None and (piece := await self._read_file(self._file)):
            return piece
        if not self._queue:
            self._tell(self._senders)
            if not self._complete:
                await _Steps(self, self._has_output)
        if self._queue:
            return self._queue.pop(0)
        if self._complete:
            raise StopAsyncIteration
        if self._gone:
            raise ClientDisconnected("the client has left")
        raise RuntimeError("the application returned before the end of its answer")

    async def _read_file(self, file: FileBody) -> bytes:
        """A piece of the file, when the client has taken those before it; empty behind the last."""
        if file.offset and self._request.peer is not None:
            await self._request.peer.drain()
        piece = file.read(_FILE_PIECE)
        if not piece:
            self._close_file()
            if file.count:
                raise EOFError(f"the file has become shorter: {file.count} bytes are missing")
        return piece

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    async def aclose(self) -> None:
        """The pieces are sent, or will not be: lets the application come to its end."""
        self._close_file()
        if self._ended:
            return
        if not (self._complete or self._bodiless):
            self._leave()
        try:
            await _Steps(self, bool)
        except ClientDisconnected:
            if not self._gone:
                raise

    # -- the steps

    def _has_output(self) -> bool:
        return self._complete or bool(self._queue) or self._file is not None

    def steps(self, enough: Any) -> Generator[Any, None, None]:
        """Steps the application until it has ended, or has to wait and there is `enough` to go on with meanwhile."""
        error: BaseException | None = None
        while not self._ended:
            if error is not None or self._future is None or self._future.done():
                self._future = None
                try:
                    if self._yielded is not _NOTHING:
                        waits_for, self._yielded = self._yielded, _NOTHING
                    elif error is None:
                        waits_for = self._coroutine.send(None)
                    else:
                        waits_for = self._coroutine.throw(error)
                except StopIteration:
                    self._ended = True
                    return
                except BaseException:
                    self._ended = True
                    self._close_file()
                    raise
                error = None
                if waits_for is _PIECE:
                    if enough():
                        return
                    continue
                if waits_for is None:  # asyncio.sleep(0), for one
                    if enough():
                        return
                    try:
                        yield
                    except BaseException as thrown:
                        error = thrown
                    continue
                waits_for._asyncio_future_blocking = False
                waits_for.add_done_callback(self._wake)
                self._future = waits_for
            if enough():
                return
            self._wait = _Wait(self._future)
            try:
                yield from self._wait
            except BaseException as thrown:
                error = thrown
            finally:
                self._wait = None

    def _wake(self, future: object = None) -> None:
        if self._wait is not None and not self._wait.done():
            self._wait.set_result(None)


def conversation_about(request: Request) -> Conversation:
    """A `Conversation`, made without the call of a class, which costs as much again."""
    made = Conversation.__new__(Conversation)
    made._begin(request)
    return made


class _Wait(asyncio.Future[None]):
    """Waits until a future is done, or a piece of the answer has come from another task of the application.

    To cancel it is to cancel the future: the application is told by that, as if its task had waited for it directly.
    """

    def __init__(self, future: asyncio.Future[Any]) -> None:
        super().__init__(loop=future.get_loop())
        self._future = future

    def cancel(self, msg: Any = None) -> bool:
        """See `asyncio.Future.cancel`."""
        return self._future.cancel(msg)


class _Steps:
    """Awaited, it steps the application of a conversation."""

    __slots__ = ("_conversation", "_enough")

    def __init__(self, conversation: Conversation, enough: Any) -> None:
        self._conversation = conversation
        self._enough = enough

    def __await__(self) -> Generator[Any, None, None]:
        return self._conversation.steps(self._enough)


class _Done:
    """An awaitable for which nobody has to wait."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return _nothing

    # What `asyncio.create_task` and the like take for a coroutine has these:

    def send(self, value: None) -> None:
        """Ends."""
        raise StopIteration

    def throw(self, error: BaseException) -> None:
        """Raises it."""
        raise error

    def close(self) -> None:
        """Ends."""


class _ToSteps:
    """Awaited by the application, in `send`, it lets those go on who step it."""

    __slots__ = ()

    def __await__(self) -> Generator[object, None, None]:
        yield _PIECE


_nothing = cast("Generator[None, None, None]", iter(()))
done = _Done()
to_steps = _ToSteps()


async def _awaiting(awaitable: Awaitable[None]) -> None:
    await awaitable


def refused(error: HTTPError) -> Response:
    """The answer to what the application has not to answer for."""
    response = Response(f"{error.status} {phrase(error.status)}\n{error.detail}\n", error.status)
    response.headers.update(error.headers)
    return response


def _out_of_place(kind: Any, where: str) -> Exception:
    if kind in _KINDS:
        return RuntimeError(f"{kind} comes {where}")
    return ValueError(f"{kind!r} is no message that an application sends for a request")


def _content_type(value: bytes) -> str:
    """A Content-Type, decoded and found valid. Raises ValueError."""
    text = _content_types.get(value)
    if text is None:
        text = value.decode("latin-1")
        check_field("Content-Type", text)
        if len(_content_types) < 256:
            _content_types[bytes(value)] = text
    return text


def _length(value: bytes) -> int:
    if not 0 < len(value) <= _DIGITS:
        raise ValueError(f"Content-Length: {value!r} is not a plain decimal number")
    length = 0
    for digit in value:  # compiled, this is less than to look it up in a dict
        if not 48 <= digit <= 57:
            raise ValueError(f"Content-Length: {value!r} is not a plain decimal number")
        length = length * 10 + digit - 48
    return length


def _text(value: bytes, what: str) -> str:
    if not isinstance(value, bytes | bytearray):
        raise TypeError(f"{what} is bytes, not {value!r}")
    return value.decode("latin-1")


_SERVERS_OWN = frozenset((b"transfer-encoding", b"keep-alive", b"proxy-connection", b"te", b"upgrade"))
"""What an application that passes another's answer on may have among its headers, and the server writes by itself."""
_KINDS = frozenset(f"http.response.{kind}" for kind in ("start", "body", "early_hint", "trailers", "pathsend"))
_DIGITS = 18  # of a Content-Length: more than that is none, and no C integer
_content_types: dict[bytes, str] = {}
