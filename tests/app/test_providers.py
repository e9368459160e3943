"""What is provided for handlers: made once a request, ended after it, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest

from app.support import ask
from firstbyte import App, HTTPError, Request, Response
from firstbyte.app.params import Header
from firstbyte.errors import ConfigurationError, RouteError
from firstbyte.http.events import Event
from firstbyte.http.headers import Headers
from firstbyte.http.services import Job


class Session:
    def __init__(self, name: str) -> None:
        self.name = name


class User:
    def __init__(self, name: str, session: Session) -> None:
        self.name = name
        self.session = session


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def app(told: list[str]) -> App:
    app = App()

    @app.provide
    def session(request: Request) -> Iterator[Session]:
        told.append("open")
        try:
            yield Session(request.path)
        except Exception as error:
            told.append(f"roll back {type(error).__name__}")
            raise
        else:
            told.append("commit")
        finally:
            told.append("close")

    @app.provide
    def user(session: Session, x_name: Annotated[str, Header()] = "nobody") -> User:
        told.append("user")
        return User(x_name, session)

    return app


@pytest.fixture
def asynchronous(told: list[str]) -> App:
    """An app whose sessions are opened and closed by coroutines."""
    app = App()

    @app.provide
    async def session() -> AsyncIterator[Session]:
        await asyncio.sleep(0)
        told.append("open")
        try:
            yield Session("async")
        finally:
            await asyncio.sleep(0)
            told.append("close")

    return app


def run(app: App, path: str, **fields: str) -> Response:
    request = Request.build("GET", path, {name.replace("_", "-"): value for name, value in fields.items()})
    endpoint = app.resolve(request)
    answer = endpoint.call(request)
    return asyncio.run(answer) if endpoint.is_async else answer  # type: ignore[no-any-return]


def test_it_is_made_once_and_ended_after(app: App, told: list[str]) -> None:
    @app.get("/")
    def handler(db: Session, user: User) -> str:
        told.append("handler")
        return f"{db.name} {user.name} {db is user.session}"

    assert ask(app, "GET", "/", X_Name="ann").body == b"/ ann True"
    assert told == ["open", "user", "handler", "commit", "close"]
    ask(app, "GET", "/")
    assert told.count("open") == 2


@pytest.mark.parametrize(("error", "status"), [(ValueError("x"), 500), (HTTPError(409), 409)])
def test_it_sees_what_the_handler_raises(app: App, told: list[str], error: Exception, status: int) -> None:
    @app.get("/")
    def handler(db: Session) -> str:
        raise error

    assert ask(app, "GET", "/").status == status
    assert told == ["open", f"roll back {type(error).__name__}", "close"]


def test_they_end_in_reverse_and_each_sees_the_error(told: list[str]) -> None:
    app = App()

    @app.provide
    def first() -> Iterator[int]:
        try:
            yield 1
        except KeyError:
            told.append("first sees KeyError")
            raise

    @app.provide
    def second(one: int) -> Iterator[str]:
        try:
            yield "two"
        except ValueError as error:
            told.append("second turns it")
            raise KeyError("other") from error

    @app.get("/")
    def handler(two: str) -> str:
        raise ValueError("x")

    @app.error(KeyError)
    def on_key(request: Request, error: Exception) -> str:
        return "other"

    assert ask(app, "GET", "/").body == b"other"
    assert told == ["second turns it", "first sees KeyError"]


def test_an_error_at_the_end_is_the_answer() -> None:
    app = App()

    @app.provide
    def session() -> Iterator[Session]:
        yield Session("x")
        raise HTTPError(503, "the commit failed")

    @app.get("/")
    def handler(db: Session) -> str:
        return "done"

    assert ask(app, "GET", "/").status == 503


def test_a_bad_request_makes_nothing(app: App, told: list[str]) -> None:
    @app.get("/")
    def handler(db: Session, page: int) -> str:
        return "never"

    assert ask(app, "GET", "/?page=x").status == 422
    assert told == []


def test_a_streamed_body_keeps_what_was_provided_to_its_end(app: App, told: list[str]) -> None:
    @app.get("/")
    def handler(db: Session) -> Iterator[str]:
        yield db.name
        told.append("last piece")

    response = ask(app, "GET", "/")
    assert told == ["open"]
    assert b"".join(response.body) == b"/"  # type: ignore[arg-type]
    assert told == ["open", "last piece", "commit", "close"]


def test_a_body_that_is_not_sent_to_its_end_ends_it_too(app: App, told: list[str]) -> None:
    @app.get("/")
    def handler(db: Session) -> Iterator[str]:
        yield "a"
        yield "b"

    response = ask(app, "GET", "/")
    assert next(iter(response.body)) == b"a"  # type: ignore[arg-type, call-overload]
    response.close()
    assert told[-1] == "close"


@pytest.mark.parametrize("events", [False, True])
def test_a_body_of_which_no_piece_is_sent_ends_it_too(app: App, told: list[str], events: bool) -> None:
    """As of a HEAD, or when the client has left."""

    @app.get("/")
    def handler(db: Session) -> Iterator[Event if events else str]:
        raise AssertionError("it is not begun")
        yield

    ask(app, "GET", "/").close()
    assert (told[0], told[-1]) == ("open", "close")
    told.clear()
    response = ask(app, "GET", "/")
    del response  # a middleware may do so
    assert (told[0], told[-1]) == ("open", "close")


def test_an_asynchronous_body_of_which_no_piece_is_sent(asynchronous: App, told: list[str]) -> None:
    @asynchronous.get("/")
    async def handler(db: Session) -> AsyncIterator[str]:
        raise AssertionError("it is not begun")
        yield

    @asynchronous.get("/bad")
    async def bad(db: Session) -> AsyncIterator[str]:
        yield "a"
        raise OSError

    async def leave() -> None:
        request = Request.build("HEAD", "/")
        response = await asynchronous.resolve(request).call(request)
        assert told == ["open"]
        await response.body.aclose()
        assert told == ["open", "close"]
        await response.body.aclose()
        request = Request.build("GET", "/bad")
        response = await asynchronous.resolve(request).call(request)
        with pytest.raises(OSError):
            [piece async for piece in response.body]
        assert told == ["open", "close"] * 2

    asyncio.run(leave())


def test_coroutines_are_provided_for_and_provide(asynchronous: App, told: list[str]) -> None:
    @asynchronous.provide
    async def user(session: Session) -> User:
        await asyncio.sleep(0)
        return User("ann", session)

    @asynchronous.get("/async")
    async def by_coroutine(user: User, db: Session) -> str:
        return f"{user.name} {user.session is db}"

    @asynchronous.get("/def")
    def by_function(user: User) -> str:
        return user.session.name

    @asynchronous.get("/stream")
    async def by_generator(db: Session) -> AsyncIterator[str]:
        yield db.name

    @asynchronous.get("/bad")
    async def bad(db: Session) -> str:
        raise HTTPError(418)

    assert asynchronous.is_async
    assert run(asynchronous, "/async").body == b"ann True"
    assert run(asynchronous, "/def").body == b"async"
    assert run(asynchronous, "/bad").status == 418
    assert told == ["open", "close"] * 3

    async def read() -> bytes:
        request = Request.build("GET", "/stream")
        response = await asynchronous.resolve(request).call(request)
        assert told[-1] == "open"
        return b"".join([piece async for piece in response.body])

    assert asyncio.run(read()) == b"async"
    assert told[-1] == "close"


def test_another_in_its_place(app: App, told: list[str]) -> None:
    @app.get("/")
    def handler(user: User) -> str:
        return user.session.name

    with app.override(Session, lambda: Session("fake")):
        assert ask(app, "GET", "/").body == b"fake"
    assert ask(app, "GET", "/").body == b"/"
    with pytest.raises(LookupError), app.override(int, lambda: 5):
        pass


# -- what cannot be


def test_a_provider_says_what_it_provides() -> None:
    app = App()

    def silent():  # type: ignore[no-untyped-def]
        yield 5

    def vague() -> Any:
        return 5

    for function in (silent, vague):
        with pytest.raises(ConfigurationError, match=f"{function.__name__} .*does not say what it provides"):
            app.provide(function)


def test_two_that_provide_the_same(app: App) -> None:
    def other() -> Session:
        return Session("")

    with pytest.raises(ConfigurationError, match="both provide"):
        app.provide(other)


def test_a_circle_cannot_be_written() -> None:
    app = App()

    def session(user: User) -> Session:
        return user.session

    with pytest.raises(RouteError, match="the annotation of user cannot be read from a request, and no provider"):
        app.provide(session)


@pytest.mark.parametrize("yields", [0, 2])
def test_a_yield_too_few_or_too_many(yields: int) -> None:
    app = App()

    @app.provide
    def session() -> Iterator[Session]:
        for _ in range(yields):
            yield Session("x")

    @app.get("/")
    def handler(db: Session) -> str:
        return "x"

    assert ask(app, "GET", "/").status == 500


# -- ended when the answer is sent


class Log:
    def __init__(self) -> None:
        self.told: list[str] = []


class Slow(Log): ...


class Quick(Log): ...


class Behind:
    """A server, to the requests: it runs jobs when it is told that the answer is sent."""

    def __init__(self, full: bool = False) -> None:
        self.full = full
        self.jobs: list[Job] = []

    def send_interim(self, status: int, fields: Headers) -> None: ...

    def after(self, job: Job) -> None:
        if self.full:
            raise HTTPError(503)
        self.jobs.append(job)

    def sent(self) -> None:
        for job in self.jobs:
            result = job.call()
            if job.is_async:
                asyncio.run(result)


@pytest.fixture
def layered(told: list[str]) -> App:
    """Three providers, of which the one in the middle is ended when the answer is sent."""
    app = App()

    def noting(name: str, kind: Any, asks: Any) -> Any:
        def provider(before: Any) -> Any:
            told.append(name)
            try:
                yield kind()
            except Exception as error:
                told.append(f"{name} {type(error).__name__}")
                raise
            finally:
                told.append(f"/{name}")

        provider.__annotations__ = {"before": asks, "return": Iterator[kind]}
        return provider

    app.provide(noting("log", Log, Request))
    app.provide(after_response=True)(noting("slow", Slow, Log))
    app.provide(noting("quick", Quick, Slow))
    app.get("/")(_taking_quick)
    app.get("/fail")(_failing)
    app.get("/stream")(_streaming)
    app.get("/async")(_awaiting)
    return app


def _taking_quick(quick: Quick) -> str:
    return "fine"


def _failing(quick: Quick) -> str:
    raise ZeroDivisionError


def _streaming(quick: Quick) -> Iterator[bytes]:
    yield b"a piece"


async def _awaiting(quick: Quick) -> str:
    return "fine"


def served(app: App, path: str, services: Behind | None) -> Response:
    request = Request.build("GET", path)
    request._services = services
    endpoint = app.resolve(request)
    answer = endpoint.call(request)
    return asyncio.run(answer) if endpoint.is_async else answer  # type: ignore[no-any-return]


@pytest.mark.parametrize("path", ["/", "/async", "/stream"])
def test_one_that_asks_for_it_and_those_before_it_are_ended_behind_the_answer(
    layered: App, told: list[str], path: str
) -> None:
    server = Behind()
    response = served(layered, path, server)
    if path == "/stream":
        assert b"".join(response.body) == b"a piece"  # type: ignore[arg-type]
    assert told == ["log", "slow", "quick", "/quick"]
    server.sent()
    assert told == ["log", "slow", "quick", "/quick", "/slow", "/log"]


def test_what_the_handler_raised_is_thrown_in_then_too(layered: App, told: list[str]) -> None:
    server = Behind()
    assert served(layered, "/fail", server).status == 500
    assert told[3:] == ["quick ZeroDivisionError", "/quick"]
    server.sent()
    assert told[5:] == ["slow ZeroDivisionError", "/slow", "log ZeroDivisionError", "/log"]


@pytest.mark.parametrize("services", [None, Behind(full=True)])
def test_they_are_ended_at_once_where_nothing_can_wait(layered: App, told: list[str], services: Behind | None) -> None:
    assert served(layered, "/", services).status == 200
    assert told == ["log", "slow", "quick", "/quick", "/slow", "/log"]


# -- circles


def _log_by_slow(slow: Slow) -> Log:
    return Log()


def test_providers_that_ask_for_each_other_are_refused_with_their_names(layered: App) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"in a circle: _log_by_slow .* -> .*provider .* -> _log_by_slow"),
        layered.override(Log, _log_by_slow),
    ):
        raise AssertionError
    assert served(layered, "/", None).status == 200  # it is as it was


def _asks_for_itself(log: Log) -> Log:
    return log


def test_one_that_asks_for_what_is_added_after_it_is_refused() -> None:
    """So that there are no circles to begin with."""
    app = App()
    with pytest.raises(RouteError, match="_asks_for_itself"):
        app.provide(_asks_for_itself)
