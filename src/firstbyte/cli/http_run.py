"""Sends what a command line asks for, shows what came of it, and returns the exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

import click

from firstbyte import client
from firstbyte.cli.http_call import Call, Kind, make_call
from firstbyte.cli.http_items import InvalidItem
from firstbyte.cli.http_output import Phase, exit_code, paint, visible, waterfall
from firstbyte.cli.http_show import Show, show_response
from firstbyte.cli.http_wire import Transcript
from firstbyte.client.network import run
from firstbyte.client.saving import save
from firstbyte.errors import ClientError, ConfigurationError, InvalidRequest, StatusError

_USAGE, _NETWORK = 2, 7  # exit codes; the second is curl's for a server that cannot be reached
_PHASES = ("resolve", "connect", "tls", "send", "wait", "receive")  # what the fields of Timings are called here


def perform(
    method: str,
    url: str,
    items: Sequence[str],
    *,
    kind: Kind | None,
    raw: str | None,
    strict: bool,
    head: bool,
    body: bool,
    pretty: bool | None,
    verbose: bool,
    timing: bool,
    download: bool,
    output: str | None,
    follow: bool | None,
    **connection: Any,
) -> int:
    """Runs one command; the arguments are its options. Whatever goes wrong is one line on standard error."""
    show = Show.choose(sys.stdout, head=head, body=body, pretty=pretty, verbose=verbose)
    transcript = Transcript() if verbose else None
    try:
        call = make_call(method, url, items, kind=kind, raw=raw, strict=strict)
        saving = download or output is not None
        with _session(transcript, saving if follow is None else follow, **connection) as session:
            try:
                response = _save(session, call, output) if saving else _print(session, call, show)
            finally:
                if transcript is not None and (text := transcript.render(_has_colour(sys.stderr))):
                    click.echo(f"\n{text}", err=True)  # last, where a long body does not scroll it away
        if timing:
            _show_timings(response, sys.stderr)
        return exit_code(response.status)
    except (InvalidItem, InvalidRequest, ConfigurationError) as error:
        return _fail(error, _USAGE)
    except ClientError as error:
        return _fail(error, _NETWORK)
    except BrokenPipeError:
        # Whoever read the output has left, as `head` does. The interpreter must not try to write the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


@contextmanager
def _session(
    transcript: Transcript | None,
    follow: bool,
    *,
    timeout: float | None,
    verify: bool,
    auth: str | None,
    auth_type: str,
    proxy: str | None,
    session: str | None,
) -> Iterator[client.Session]:
    """A session with these options; the cookies of the file `session` are read before and written after."""
    hooks = client.Hooks()
    if transcript is not None:
        hooks = client.Hooks(
            request=lambda request: transcript.begin(request.method), sent=transcript.sent, received=transcript.received
        )
    jar = client.CookieJar()
    path = None if session is None else Path(session).expanduser()
    if path is not None and path.exists():
        try:
            jar.load(path)
        except ConfigurationError as error:
            raise InvalidItem(f"--session {path}: {error}") from None
    with client.Session(
        timeout=client.Timeout(total=timeout),
        follow_redirects=follow,
        verify=verify,
        auth=None if auth is None else auth_of(auth, auth_type),
        cookies=jar,
        proxy=proxy,
        hooks=hooks,
    ) as opened:
        yield opened
    if path is not None:
        jar.save(path)


def auth_of(credentials: str, kind: str) -> client.Auth:
    """What --auth and --auth-type say; a password that is not among it is asked for."""
    if kind == "bearer":
        return client.Bearer(credentials)
    user, colon, password = credentials.partition(":")
    if not colon:
        password = click.prompt(f"password for {user}", hide_input=True, err=True)
    return (client.Digest if kind == "digest" else client.Basic)(user, password)


def _print(session: client.Session, call: Call, show: Show) -> client.ClientResponse:
    """Sends the request and prints the answer while it comes."""
    with session.stream(call.method, call.url, headers=call.headers, **call.body) as response:
        show_response(response, show, sys.stdout)
    return response


def _save(session: client.Session, call: Call, output: str | None) -> client.ClientResponse:
    """Sends the request and saves a good answer in a file."""
    options = cast("client.RequestOptions", {"headers": call.headers, **call.body})
    path = Path(output or ".").expanduser()
    try:
        return run(save(session, call.method, call.url, path, progress=True, checksum=None, options=options))[1]
    except StatusError as error:
        response: client.ClientResponse = error.response
        answer = visible(f"{response.status} {response.reason}".rstrip())
        click.echo(f"firstbyte: nothing is saved: {response.url} was answered with {answer}", err=True)
        return response


def _show_timings(response: client.ClientResponse, out: TextIO) -> None:
    """A waterfall for each exchange that led to the response, itself included."""
    colour = _has_colour(out)
    click.echo(file=out)
    for each in (*response.history, response):
        if response.history:
            click.echo(paint(f"{each.request.method} {each.url} {each.status}", None, colour, bold=True), file=out)
        click.echo(waterfall(list(_phases(each)), colour), file=out)


def _phases(response: client.ClientResponse) -> Iterator[Phase]:
    at = 0.0
    for name, seconds in zip(_PHASES, response.timings, strict=True):
        if seconds is not None:
            yield Phase(name, at, at + seconds)
            at += seconds


def _has_colour(out: TextIO) -> bool:
    return out.isatty() and not os.environ.get("NO_COLOR")


def _fail(error: Exception, code: int) -> int:
    click.secho(f"firstbyte: {error}", err=True, fg="red" if _has_colour(sys.stderr) else None)
    return code
