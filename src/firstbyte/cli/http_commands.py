"""The commands of the HTTP client, in httpie's manner: `firstbyte post :8000/tasks title=milk`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

_ITEMS = """
\b
URL    :8000/tasks is http://localhost:8000/tasks; without a scheme it is http
ITEMS  title=milk      a field of the body, which is JSON, or a form with --form
       done:=false     a field that is JSON itself; owner[name]=Ann and tags[]=x nest
       q==term         a field of the query
       X-Token:abc     a header; `X-Token:` leaves a default one out, `X-Token;` sends it empty
       photo@cat.png   a file, which makes the body multipart/form-data
       text=@notes.txt, list:=@list.json, q==@term.txt, X-Key:@key.txt take the value from a file

\b
Exit codes: 0 for an answer of 1xx to 3xx, 4 for 4xx, 5 for 5xx, 2 for wrong usage, 7 for none at all.
"""

_CHAT = """Talk over the WebSocket at URL: what is typed is sent line by line, what comes is shown meanwhile.

\b
URL    ws://host/path, or :8000/path for localhost; http means ws
ITEMS  q==term and X-Token:abc as for `firstbyte get`: nick==ann

Ctrl-D ends it. Messages of `firstbyte.rooms` are shown in words, and asked for again when the connection broke.
"""


def _with(*options: Callable[..., Any]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Gives these arguments and options to a command."""

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        def run(**given: Any) -> int:
            return command(**given)

        for each in reversed(options):
            run = each(run)
        return run

    return decorate


def _http_options(command: Callable[..., int]) -> Callable[..., int]:
    """The arguments URL and ITEMS, and the options that all of the commands have."""
    return _with(*_OPTIONS)(command)


def _perform(method: str, url: str, items: Sequence[str], **options: Any) -> int:
    from firstbyte.cli.http_run import perform  # the client is loaded by those who use it

    return perform(method, url, items, **options)


_TO = (click.argument("url"), click.argument("items", nargs=-1))
_CONNECTION = (
    click.option("-a", "--auth", metavar="USER:PASSWORD", help="Credentials; without :PASSWORD it is asked for."),
    click.option(
        "--auth-type", type=click.Choice(["basic", "digest", "bearer"]), default="basic", show_default=True,
        help="What they are for; with bearer, --auth is the token.",
    ),
    click.option("--verify/--insecure", default=True, show_default=True, help="Check the server's certificate."),
    click.option("--proxy", metavar="URL", help="Go through this proxy; http, https, socks5 and socks5h."),
)  # fmt: skip
_OPTIONS = (
    *_TO,
    click.option("-j", "--json", "kind", flag_value="json", help="The body is JSON, the default; ask for JSON too."),
    click.option("-f", "--form", "kind", flag_value="form", help="The body is a form."),
    click.option("--raw", metavar="TEXT", help="The whole body: text, @FILE, or @- for standard input."),
    click.option("--headers", "head", is_flag=True, help="Print the head of the answer."),
    click.option("-b", "--body", is_flag=True, help="Print the body of the answer."),
    click.option("--pretty/--plain", default=None, help="Format and colour; the default on a terminal alone."),
    click.option("-v", "--verbose", is_flag=True, help="Explain every byte that was sent and received."),
    click.option("--timing", is_flag=True, help="Show when each phase was, as a waterfall."),
    click.option("-d", "--download", is_flag=True, help="Save the body in a file; go on with what was cut off."),
    click.option("-o", "--output", metavar="FILE", help="The file of --download."),
    *_CONNECTION,
    click.option("--follow/--no-follow", default=None, help="Follow redirects; the default with --download alone."),
    click.option(
        "--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
        help="For all of it together; none by default.",
    ),
    click.option("--session", metavar="FILE", help="Keep cookies in this file from one command to the next."),
)  # fmt: skip


def _method(name: str, what: str) -> click.Command:
    """The command of one method."""

    @click.command(name.lower(), help=f"{what}\n{_ITEMS}")
    @_http_options
    def command(url: str, items: Sequence[str], **options: Any) -> int:
        return _perform(name, url, items, strict=True, **options)

    return command


get = _method("GET", "Get what is at URL.")
post = _method("POST", "Post the fields of ITEMS to URL.")
put = _method("PUT", "Put the fields of ITEMS at URL.")
patch = _method("PATCH", "Change fields of what is at URL.")
delete = _method("DELETE", "Delete what is at URL.")
head = _method("HEAD", "Get the head of the answer alone.")
options = _method("OPTIONS", "Ask what can be done with URL.")


@click.command("request", help=f"Send a request with any METHOD to URL; a body goes with each.\n{_ITEMS}")
@click.argument("method", callback=lambda ctx, param, value: value.upper() if value.islower() else value)
@_http_options
def request(method: str, url: str, items: Sequence[str], **options: Any) -> int:
    """Sends whatever method."""
    return _perform(method, url, items, strict=False, **options)


@click.command("chat", help=_CHAT)
@_with(*_TO, *_CONNECTION)
def chat(url: str, items: Sequence[str], **options: Any) -> int:
    """Talks over a WebSocket."""
    from firstbyte.cli.chat import chat

    return chat(url, items, **options)
