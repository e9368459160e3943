"""Coroutines: what works in a handler, who waits for whom, a client that leaves."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncIterator, Callable

import anyio
import pytest

from engine.support import WAIT, Running, Serve
from firstbyte import App, HTTPError, Request, Response
from firstbyte.engine.watchdog import AGAIN
from firstbyte.errors import ConfigurationError
from firstbyte.http.handler import PROVEN

LOOPS = ["asyncio", "uvloop"]
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app() -> App:
    app = App()

    @app.get("/")
    async def hello() -> str:
        return "hello"

    @app.get("/def")
    def plain() -> str:
        return "plain"

    return app


Start = Callable[[App], Running]


@pytest.fixture
def start(serve: Serve, loop: str) -> Start:
    return lambda app, **options: serve(app, loop=loop, **options)  # type: ignore[no-any-return]


def answer(app: App, start: Start, function: Callable[..., object]) -> bytes:
    app.add_route("/tried", function)
    status, _, body = start(app).client().get("/tried").read()
    assert status == 200, body
    return body


# -- what asyncio promises


async def use_timeout() -> str:
    try:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
    except TimeoutError:
        return "timed out"
    return "not timed out"


async def use_task_group() -> str:
    async def give(value: int) -> int:
        await asyncio.sleep(0)
        return value

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(give(number)) for number in range(3)]
    return "".join(str(task.result()) for task in tasks)


async def use_task_group_that_fails() -> str:
    async def fail() -> None:
        raise KeyError("x")

    answer = "went on"
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.Event().wait()
    except* KeyError:
        answer = "failed together"
    return answer


async def use_current_task() -> str:
    before = asyncio.current_task()
    await asyncio.sleep(0)
    return str(before is not None and before is asyncio.current_task())


async def use_wait_for() -> str:
    return await asyncio.wait_for(asyncio.to_thread(lambda: "from a thread"), WAIT)


async def use_anyio() -> str:
    with anyio.move_on_after(0.01) as scope:
        await anyio.sleep_forever()
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 0)
    return f"cancelled {scope.cancelled_caught}"


async def use_anyio_cancellation_at_once() -> str:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await anyio.sleep(0)
    return f"cancelled {scope.cancelled_caught}"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (use_timeout, b"timed out"),
        (use_task_group, b"012"),
        (use_task_group_that_fails, b"failed together"),
        (use_current_task, b"True"),
        (use_wait_for, b"from a thread"),
        (use_anyio, b"cancelled True"),
        (use_anyio_cancellation_at_once, b"cancelled True"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_tools_of_asyncio_work(app: App, start: Start, function: Callable[..., object], expected: bytes) -> None:
    assert answer(app, start, function) == expected


def test_each_request_has_a_context_of_its_own(app: App, start: Start) -> None:
    @app.get("/var/{value}")
    async def set_and_get(value: str) -> str:
        before = variable.get()
        variable.set(value)
        if value != "first":
            await asyncio.sleep(0)
        return f"{before} {variable.get()}"

    client = start(app).client()
    for value in ("first", "second", "third"):
        assert client.get(f"/var/{value}").read()[2] == f"unset {value}".encode()


# -- who waits for whom


def test_a_coroutine_that_waits_lets_the_others_go_on(app: App, start: Start) -> None:
    gate = asyncio.Event()

    @app.get("/wait")
    async def wait() -> str:
        await gate.wait()
        return "opened"

    @app.get("/open")
    async def open_gate() -> str:
        gate.set()
        return "open"

    running = start(app)
    waiting = [running.client().get("/wait") for _ in range(5)]
    assert running.client().get("/open").read()[2] == b"open"
    assert [client.read()[2] for client in waiting] == [b"opened"] * 5


def test_pipelined_requests_are_answered_in_order_whatever_they_are(app: App, start: Start) -> None:
    @app.get("/{kind}/{number:int}")
    async def numbered(kind: str, number: int) -> str:
        if kind == "later":
            await asyncio.sleep(0.001 * (number % 3))
        return str(number)

    @app.get("/thread/{number:int}")
    def in_thread(number: int) -> str:
        return str(number)

    client = start(app).client()
    kinds = ("now", "later", "thread")
    client.send(b"".join(b"GET /%b/%d HTTP/1.1\r\nHost: x\r\n\r\n" % (kinds[n % 3].encode(), n) for n in range(90)))
    assert [int(client.read()[2]) for _ in range(90)] == list(range(90))


def test_a_function_runs_in_a_thread_until_it_has_proven_fast(app: App, start: Start) -> None:
    app.add_route("/thread", lambda: threading.current_thread().name)
    client = start(app).client()
    names = [client.get("/thread").read()[2] for _ in range(PROVEN + 4)]
    assert all(name.startswith(b"firstbyte-") and name != b"firstbyte-server" for name in names[:PROVEN])
    assert names[-1] == b"firstbyte-server"  # the thread that runs the loop


def test_a_function_that_blocks_holds_up_nobody(app: App, start: Start) -> None:
    gate = threading.Event()
    app.add_route("/wait", lambda: str(gate.wait(WAIT)))

    @app.get("/open")
    async def open_gate() -> str:
        gate.set()
        return "open"

    running = start(app)
    slow = running.client().get("/wait")
    assert running.client().get("/open").read()[2] == b"open"
    assert slow.read()[2] == b"True"


def test_async_middleware_goes_around_functions_and_coroutines(app: App, start: Start) -> None:
    @app.middleware
    async def around(request: Request) -> AsyncIterator[Response | None]:
        if request.path == "/early":
            yield Response("early")
            return
        await asyncio.sleep(0)
        response = yield None
        response.headers["X-Around"] = "yes"

    @app.get("/fails")
    def fails() -> str:
        raise HTTPError(409)

    client = start(app).client()
    for path, status, body in (
        ("/", 200, b"hello"),
        ("/def", 200, b"plain"),
        ("/fails", 409, None),
        ("/no", 404, None),
    ):
        got, fields, text = client.get(path).read()
        assert (got, fields["x-around"]) == (status, "yes")
        assert body is None or text == body
    assert client.get("/early").read()[2] == b"early"


def test_a_coroutine_that_fails_is_a_500_and_the_connection_goes_on(app: App, start: Start) -> None:
    @app.get("/fails/{when}")
    async def fails(when: str) -> str:
        if when == "later":
            await asyncio.sleep(0)
        raise ValueError(when)

    client = start(app).client()
    for when in ("now", "later"):
        assert client.get(f"/fails/{when}").read()[0] == 500
    assert client.get("/").read()[2] == b"hello"


# -- bodies


def test_a_body_is_read_as_it_comes(app: App, start: Start) -> None:
    @app.route("/echo", ["POST"], streams_body=True)
    async def echo(request: Request) -> AsyncIterator[bytes]:
        async for piece in request.stream():
            yield piece

    client = start(app).client().send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n")
    client.send(b"abc")
    assert client.read(head_only=True)[0] == 200
    while b"abc" not in client.buffer:
        assert client.more()
    client.send(b"def")
    assert client._chunks() == b"abcdef"
    assert client.get("/").read()[2] == b"hello"


def test_a_body_that_does_not_come_is_a_408(app: App, start: Start) -> None:
    @app.route("/up", ["POST"], streams_body=True)
    async def up(request: Request) -> str:
        return str(len(await request.read()))

    client = start(app, body_timeout=0.05).client()  # type: ignore[call-arg]
    client.send(b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
    assert client.read()[0] == 408


def test_a_slow_reader_holds_the_generator_not_the_loop(app: App, start: Start) -> None:
    given = 0

    @app.get("/much")
    async def much() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(400):
            given += 1
            yield b"x" * 65536

    running = start(app)
    slow = running.client().get("/much")
    assert slow.read(head_only=True)[0] == 200
    seen = -1
    while given != seen:  # until the generator has stopped, since nobody reads
        seen = given
        assert running.client().get("/").read()[2] == b"hello"
    assert given < 300
    assert len(slow._chunks()) == 400 * 65536
    assert slow.get("/").read()[2] == b"hello"


def test_a_generator_that_fails_breaks_the_answer_off(app: App, start: Start) -> None:
    @app.get("/half")
    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        raise ValueError("no more")

    client = start(app).client().get("/half")
    assert b"half" in client.rest()
    assert not client.buffer.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_generator_ends_with_its_answer(app: App, start: Start, method: str) -> None:
    ended = threading.Event()

    @app.get("/some")
    async def some() -> AsyncIterator[str]:
        try:
            yield "some"
        finally:
            ended.set()

    client = start(app).client().send(f"{method} /some HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert client.read(head_only=method == "HEAD")[0] == 200
    assert client.get("/").read()[2] == b"hello"
    assert method == "HEAD" or ended.wait(WAIT)


# -- a client that leaves


def test_a_client_that_leaves_cancels_its_coroutine(app: App, start: Start) -> None:
    begun, ended = threading.Event(), threading.Event()

    @app.get("/wait")
    async def wait() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    running = start(app)
    client = running.client().get("/wait")
    assert begun.wait(WAIT)
    client.close()
    assert ended.wait(WAIT)
    assert running.recorder.wait_for("closed")[0][1] == "client left"


def test_a_client_that_leaves_cancels_nothing_where_that_is_not_wanted(app: App, start: Start) -> None:
    begun, gate, ended = threading.Event(), asyncio.Event(), threading.Event()

    @app.get("/wait", cancel_on_disconnect=False)
    async def wait() -> str:
        begun.set()
        await gate.wait()
        ended.set()
        return ""

    @app.get("/open")
    async def open_gate() -> str:
        gate.set()
        return "open"

    running = start(app)
    client = running.client().get("/wait")
    assert begun.wait(WAIT)
    client.close()
    assert running.client().get("/open").read()[2] == b"open"
    assert ended.wait(WAIT)


def test_a_client_that_leaves_ends_a_generator(app: App, start: Start) -> None:
    ended = threading.Event()

    @app.get("/ticks")
    async def ticks() -> AsyncIterator[str]:
        try:
            while True:
                yield "tick"
                await asyncio.sleep(0.001)
        finally:
            ended.set()

    client = start(app).client().get("/ticks")
    assert client.read(head_only=True)[0] == 200
    client.close()
    assert ended.wait(WAIT)


def test_a_coroutine_that_cancels_itself_closes_the_connection(app: App, start: Start) -> None:
    @app.get("/cancel/{when}")
    async def cancel(when: str) -> str:
        if when == "later":
            await asyncio.sleep(0)
        raise asyncio.CancelledError

    running = start(app)
    for when in ("now", "later"):
        assert running.client().get(f"/cancel/{when}").closed()
    assert running.client().get("/").read()[2] == b"hello"


# -- the watchdog


def test_the_watchdog_names_who_blocks_the_loop_once(app: App, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    told = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "held up" in record.getMessage():
                lines.append(record.getMessage())
                told.set()

    lines: list[str] = []
    logger = logging.getLogger("firstbyte.engine")
    listener = Listener()
    logger.addHandler(listener)
    held = threading.Event()

    @app.get("/block/{when}")
    async def block(when: str) -> str:
        if when == "later":
            await asyncio.sleep(0)
        held.wait(0.3)  # nobody sets it: this is the blocking
        return "blocked"

    try:
        client = start(app, warn_blocking=0.05).client()  # type: ignore[call-arg]
        for when in ("now", "later", "now"):
            assert client.get(f"/block/{when}").read()[2] == b"blocked"
        assert told.wait(WAIT)
    finally:
        logger.removeHandler(listener)
    (line,) = lines
    assert "block has held up the event loop for" in line
    assert "held.wait(0.3)" in line
    assert "engine/loop.py" not in line
    assert AGAIN == 60


def test_a_handler_that_hides_its_coroutines_is_told(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    from firstbyte import Endpoint

    async def coroutine(request: Request) -> Response:
        return Response("")

    class Hidden:
        endpoint = Endpoint(coroutine)

        def resolve(self, request: Request) -> Endpoint:
            return self.endpoint

    assert serve(Hidden()).client().get("/").read()[0] == 500
    assert "its Handler must say `is_async`" in caplog.text


def test_a_loop_that_is_not_there(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from firstbyte.engine.loops import new_loop

    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(ConfigurationError, match=r"pip install firstbyte\[uvloop\]"):
        new_loop("uvloop")
    new_loop("auto").close()
