"""Every handler that a command puts around an app passes on what the server asks the app for."""

import asyncio

import pytest

from firstbyte import App
from firstbyte.app.front import Front
from firstbyte.app.https import RedirectToHTTPS
from firstbyte.app.mounts import Mount
from firstbyte.cli.proxying import Routes
from firstbyte.files.live import Live
from firstbyte.files.pages import ErrorPages
from firstbyte.files.uploads import Uploads
from firstbyte.http.handler import lifespan_of
from firstbyte.http.services import periodic_of

AROUND = {
    "Front": lambda app, folder: Front(app),
    "RedirectToHTTPS": lambda app, folder: RedirectToHTTPS(app, 80, 443),
    "Mount": lambda app, folder: Mount("/below", app),
    "mounted in an App": lambda app, folder: mounted(app),
    "Routes": lambda app, folder: Routes({"/api": App()}, app),
    "one of Routes": lambda app, folder: Routes({"/api": app}, App()),
    "ErrorPages": lambda app, folder: ErrorPages(app),
    "Uploads": lambda app, folder: Uploads(folder, files=app),
    "Live": lambda app, folder: Live(app, folder),
}


def mounted(app):
    outer = App()
    outer.mount("/below", app)
    return outer


@pytest.fixture(params=AROUND)
def around(request, tmp_path):
    return lambda app: AROUND[request.param](app, tmp_path)


def test_periodic_work(around):
    app = App()

    @app.every("5m")
    def clean():
        raise NotImplementedError

    assert [job.function for job in periodic_of(around(app))] == [clean]


def test_lifespan(around):
    app, happened = App(), []

    @app.lifespan
    async def opened(app):
        happened.append("in")
        yield
        happened.append("out")

    async def run():
        async with lifespan_of(around(app)):
            assert happened == ["in"]

    asyncio.run(run())
    assert happened == ["in", "out"]


def test_coroutines(around):
    app = App()

    @app.get("/")
    async def index():
        raise NotImplementedError

    assert around(app).is_async is True
