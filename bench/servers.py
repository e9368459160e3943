"""Who is asked: one `Server` each, with its command line; all with one worker process, no access log, keep-alive.

To add one, add an entry to `SERVERS` and its packages to requirements.txt. What a peer offers to be faster it is given
(uvloop, httptools, msgspec, answering a pipeline at once); firstbyte runs as its command line starts it.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench import site
from bench.scenarios import Interface, Scenario

ROOT = Path(__file__).parent.parent
"""The checkout; every server is started here."""
APPS = Path(__file__).parent / "apps"
BUILD = Path(__file__).parent / "build"
"""All that the benchmark makes: the C loop, the peers' environment, logs."""
HOST = "127.0.0.1"
THREADS = 64

Source = Literal["firstbyte", "gcc", "nginx", "pip", "python"]
"""Where a server comes from; `peers` has a function for each."""


@dataclass(frozen=True)
class Launch:
    """What a command line depends on. `programs` has the path of each program that `peers` found."""

    scenario: Scenario
    port: int
    programs: Mapping[str, str]
    behind: int = 0
    """The port of the server behind, where the scenario has one."""

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"


@dataclass(frozen=True)
class Server:
    """One server and how it is started."""

    name: str
    interface: Interface
    source: Source
    command: Callable[[Launch], list[str]]
    packages: tuple[str, ...] = ()
    """For `pip`: the distributions it needs; the report shows the version of each."""
    omits: frozenset[str] = field(default_factory=frozenset)
    """Header fields it is known not to send, in lower case: said in the report; any other lack is an error."""


def firstbyte(launch: Launch) -> list[str]:
    """As a user would start it: every limit and timeout at its default."""
    program = str(Path(sys.executable).parent / "firstbyte")
    module, _, name = launch.scenario.app.partition(":")
    app = f"{APPS / module}.py:{name}"
    options = ["--host", HOST, "--port", str(launch.port), "--threads", str(THREADS), "--no-access-log"]
    return [program, "run", app, *options]


def firstbyte_hosting(app: str) -> Callable[[Launch], list[str]]:
    """The application of the WSGI or ASGI servers, in apps/, hosted."""

    def command(launch: Launch) -> list[str]:
        program, run, _, *options = firstbyte(launch)
        return [program, run, f"{APPS / app}.py:app", *options]

    return command


def firstbyte_proxy(launch: Launch) -> list[str]:
    program, _, _, *options = firstbyte(launch)
    return [program, "proxy", f"http://{HOST}:{launch.behind}", *options]


def epoll_loop(launch: Launch) -> list[str]:
    return [launch.programs["epoll_hello"], str(launch.port)]


def nginx(template: str) -> Callable[[Launch], list[str]]:
    """nginx with a configuration of its own, written beside its other files."""

    def command(launch: Launch) -> list[str]:
        home = BUILD / "nginx"
        home.mkdir(parents=True, exist_ok=True)
        config = home / f"{template}.conf"
        text = (APPS / f"{template}.conf").read_text().replace("@UPSTREAM@", f"{HOST}:{launch.behind}")
        text = text.replace("@HOME@", str(home)).replace("@ADDRESS@", launch.address)
        config.write_text(text.replace("@SITE@", str(site.make(BUILD / "site"))))
        # -e: the log that is compiled in belongs to the system's nginx.
        return [launch.programs["nginx"], "-e", "stderr", "-p", str(home), "-c", str(config)]

    return command


def aiohttp_proxy(launch: Launch) -> list[str]:
    program = ["-m", "bench.apps.aiohttp_proxy"]
    return [launch.programs["python"], *program, f"http://{HOST}:{launch.behind}", str(launch.port)]


def httpx_proxy(launch: Launch) -> list[str]:
    return ["env", f"UPSTREAM=http://{HOST}:{launch.behind}", *uvicorn("httpx_proxy")(launch)]


def firstbyte_files(launch: Launch) -> list[str]:
    program = str(Path(sys.executable).parent / "firstbyte")
    folder = str(site.make(BUILD / "site"))
    return [program, "serve", folder, "--host", HOST, "--port", str(launch.port), "--no-access-log"]


def http_server(launch: Launch) -> list[str]:
    options = ["--bind", HOST, "--directory", str(site.make(BUILD / "site")), "--protocol", "HTTP/1.1"]
    return [sys.executable, "-m", "http.server", str(launch.port), *options]


def bjoern(app: str) -> Callable[[Launch], list[str]]:
    """bjoern has no command line; run_bjoern.py is one."""
    return lambda launch: [launch.programs["python"], str(APPS / "run_bjoern.py"), app, str(launch.port)]


def granian(interface: Interface, app: str = "") -> Callable[[Launch], list[str]]:
    def command(launch: Launch) -> list[str]:
        options = ["--interface", interface, "--host", HOST, "--port", str(launch.port), "--workers", "1"]
        options += ["--loop", "uvloop", "--no-access-log", "--log-level", "warning"]
        if interface == "wsgi" and launch.scenario.blocks:
            options += ["--blocking-threads", str(launch.scenario.threads)]
        if launch.scenario.pipeline > 1:
            options += ["--http1-pipeline-flush"]
        return [launch.programs["granian"], *options, f"bench.apps.{app or interface}:app"]

    return command


def uvicorn(app: str) -> Callable[[Launch], list[str]]:
    def command(launch: Launch) -> list[str]:
        options = ["--host", HOST, "--port", str(launch.port), "--loop", "uvloop", "--http", "httptools"]
        options += ["--no-access-log", "--log-level", "warning"]
        return [launch.programs["uvicorn"], *options, f"bench.apps.{app}:app"]

    return command


def gunicorn(app: str) -> Callable[[Launch], list[str]]:
    def command(launch: Launch) -> list[str]:
        options = ["--bind", launch.address, "--workers", "1", "--worker-class", "gthread", "--threads", str(THREADS)]
        return [launch.programs["gunicorn"], *options, "--log-level", "warning", f"bench.apps.{app}:app"]

    return command


def waitress(launch: Launch) -> list[str]:
    return [
        launch.programs["waitress-serve"],
        f"--listen={launch.address}",
        f"--threads={THREADS}",
        "bench.apps.wsgi:app",
    ]


UVICORN = ("uvicorn", "uvloop", "httptools")

SERVERS: tuple[Server, ...] = (
    Server("firstbyte", "firstbyte", "firstbyte", firstbyte),
    Server("firstbyte-wsgi", "wsgi", "firstbyte", firstbyte_hosting("wsgi")),
    Server("firstbyte-asgi", "asgi", "firstbyte", firstbyte_hosting("asgi")),
    Server("fastapi-firstbyte", "fastapi", "firstbyte", firstbyte_hosting("fastapi_app")),
    Server("fastapi-uvicorn", "fastapi", "pip", uvicorn("fastapi_app"), ("fastapi", *UVICORN)),
    Server("fastapi-granian", "fastapi", "pip", granian("asgi", "fastapi_app"), ("fastapi", "granian")),
    Server("fastapi", "models", "pip", uvicorn("fastapi_app"), ("fastapi", *UVICORN)),
    Server("litestar", "models", "pip", uvicorn("litestar_app"), ("litestar", *UVICORN)),
    Server("starlette", "framework", "pip", uvicorn("starlette_app"), ("starlette", *UVICORN)),
    Server("blacksheep", "framework", "pip", uvicorn("blacksheep_app"), ("blacksheep", *UVICORN)),
    Server("flask", "framework", "pip", gunicorn("flask_app"), ("flask", "gunicorn")),
    Server("bottle", "framework", "pip", bjoern("bottle_app"), ("bottle", "bjoern"), omits=frozenset({"date"})),
    Server("falcon", "framework", "pip", bjoern("falcon_app"), ("falcon", "bjoern"), omits=frozenset({"date"})),
    Server("fastapi-stack", "stack", "pip", uvicorn("fastapi_stack_app"), ("fastapi", *UVICORN)),
    Server("fastapi-stack-plain", "stack", "pip", uvicorn("fastapi_plain_stack_app"), ("fastapi", *UVICORN)),
    Server("flask-firstbyte", "flask", "firstbyte", firstbyte_hosting("flask_app")),
    Server("flask-granian", "flask", "pip", granian("wsgi", "flask_app"), ("flask", "granian")),
    Server("flask-gunicorn", "flask", "pip", gunicorn("flask_app"), ("flask", "gunicorn")),
    Server("c-epoll", "fixed", "gcc", epoll_loop),
    Server("nginx", "fixed", "nginx", nginx("nginx")),
    Server("firstbyte-files", "files", "firstbyte", firstbyte_files),
    Server("nginx-files", "files", "nginx", nginx("nginx")),
    Server("http.server", "files", "python", http_server),
    Server("bjoern", "wsgi", "pip", bjoern("wsgi"), ("bjoern",), omits=frozenset({"date"})),
    Server("granian-rsgi", "rsgi", "pip", granian("rsgi"), ("granian",)),
    Server("granian-asgi", "asgi", "pip", granian("asgi"), ("granian",)),
    Server("granian-wsgi", "wsgi", "pip", granian("wsgi"), ("granian",)),
    Server("uvicorn", "asgi", "pip", uvicorn("asgi"), UVICORN),
    Server("falcon-bjoern", "wsgi", "pip", bjoern("falcon_app"), ("falcon", "bjoern"), omits=frozenset({"date"})),
    Server("gunicorn-gthread", "wsgi", "pip", gunicorn("wsgi"), ("gunicorn",)),
    Server("firstbyte-proxy", "proxy", "firstbyte", firstbyte_proxy),
    Server("nginx-proxy", "proxy", "nginx", nginx("nginx_proxy")),
    Server("aiohttp-proxy", "proxy", "pip", aiohttp_proxy, ("aiohttp", "uvloop")),
    Server("httpx-proxy", "proxy", "pip", httpx_proxy, ("httpx", "starlette", "uvicorn", "uvloop", "httptools")),
    Server("waitress", "wsgi", "pip", waitress, ("waitress",)),
)
