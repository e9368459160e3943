"""The lifespan of ASGI applications: startup, state and shutdown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.support import Client, Serve
from firstbyte import App, Server
from firstbyte.errors import StartupError
from firstbyte.hosts.asgi import ASGI
from hosts.support import Receive, Scope, Send, Told, body, echo, start


@pytest.fixture
def driver(each_loop: str) -> str:
    return each_loop


def lifespan(told: Told, startup: str = "complete", shutdown: str = "complete") -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            scope["state"]["made"] = ["at startup"]
            if startup == "raise":
                raise KeyError("within startup")
            await asyncio.sleep(0.001)
            await send({"type": f"lifespan.startup.{startup}", "message": "no database"})
            if startup == "failed":
                return
            assert (await receive())["type"] == "lifespan.shutdown"
            told.say("shutdown")
            if shutdown == "raise":
                raise KeyError("within shutdown")
            await send({"type": f"lifespan.shutdown.{shutdown}", "message": "no goodbye"})
            return
        told.say(scope["state"])
        await send(start())
        await send(body(b"x"))

    return app


def mounted(asgi: ASGI) -> App:
    app = App()
    app.mount("/", asgi)
    return app


@pytest.mark.parametrize("around", [lambda asgi: asgi, mounted], ids=["alone", "mounted"])
def test_the_lifespan_is_around_all_requests_and_its_state_in_each(told: Told, around: Any) -> None:
    with Server(around(ASGI(lifespan(told))), port=0) as server:
        client = Client(server.port)
        for _ in range(2):
            assert client.get().read()[2] == b"x"
        client.close()
    assert told.things == [{"made": ["at startup"]}, {"made": ["at startup"]}, "shutdown"]
    assert told.things[0] is not told.things[1]


def test_a_startup_that_fails_is_the_servers(told: Told) -> None:
    with pytest.raises(StartupError, match="no database"), Server(ASGI(lifespan(told, "failed")), port=0):
        raise AssertionError


@pytest.mark.parametrize("app", [lifespan(Told(), "raise"), echo], ids=["raises", "knows none"])
def test_an_application_without_a_lifespan_is_served(serve: Serve, app: Any) -> None:
    assert serve(ASGI(app)).client().get().read()[0] == 200


@pytest.mark.parametrize(("shutdown", "log"), [("failed", "no goodbye"), ("raise", "within shutdown")])
def test_a_shutdown_that_fails_is_logged(told: Told, caplog: pytest.LogCaptureFixture, shutdown: str, log: str) -> None:
    with Server(ASGI(lifespan(told, shutdown=shutdown)), port=0):
        pass
    assert told.things == ["shutdown"]
    assert any(log in record.getMessage() + str(record.exc_info) for record in caplog.records)
