"""Error answers: a page for people, a JSON problem (RFC 9457) for programs, and the debug page of development."""

from __future__ import annotations

import html
import linecache
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import msgspec

from firstbyte.app.problems import SECRET, Problem
from firstbyte.http.media import accepts
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.http.status import phrase

PROBLEM = "application/problem+json"
_BY_ACCEPT = {"Vary": "Accept"}  # caches may keep a 404 or a 410, but only for those who asked alike
_FRAMES = 50  # calls shown, the innermost; endless recursion has thousands
_CONTEXT = 5  # source lines shown on either side of the one that failed


class ProblemDetails(msgspec.Struct, omit_defaults=True):
    """An error as programs read it (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = ""
    problems: list[Problem] = []


def error_response(request: Request, status: int, detail: str = "", problems: Sequence[Problem] = ()) -> Response:
    """The answer for `status` in the form that the client prefers: HTML if it asks for it, else a JSON problem."""
    title = phrase(status) or "Error"
    if wants_html(request):
        text = f"<p>{html.escape(detail)}</p>" if detail and not problems else ""
        text += "".join(
            f"<p><code>{html.escape(each.where)}</code> {html.escape(each.message)}</p>" for each in problems
        )
        page = _PAGE.format(title=f"{status} {title}", style=_STYLE, body=f"<h1>{status} {title}</h1>{text}")
        return Response.html(page, status, _BY_ACCEPT)
    problem = ProblemDetails("about:blank", title, status, detail, list(problems))
    return Response.json(problem, status, _BY_ACCEPT, PROBLEM)


def wants_html(request: Request) -> bool:
    """True if the client prefers a page to JSON, as browsers do; a client that takes anything gets JSON."""
    return accepts(request.headers.get_joined("accept"), (PROBLEM, "application/json", "text/html")) == "text/html"


def debug_response(request: Request, error: BaseException, identifier: str) -> Response:
    """The traceback as a page with the source around each line and what was asked, or as plain text by Accept."""
    if not wants_html(request):
        text = "".join(traceback.format_exception(error))
        return Response(f"500 {phrase(500)} ({identifier})\n\n{text}", 500)
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    entries = _entries(error.__traceback__)
    frames = "".join(_frame(*entry) for entry in reversed(entries[-_FRAMES:]))
    if len(entries) > _FRAMES:
        frames += f"<p class=note>{len(entries) - _FRAMES} earlier calls are left out.</p>"
    fields = "".join(
        f"<tr><th>{html.escape(field)}<td>{html.escape(_hidden(field, value))}"
        for field, value in request.headers.items()
    )
    chain = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    cause = f"<p>It came out of <b>{html.escape(repr(chain))}</b></p>" if chain is not None else ""
    body = (
        f"<h1>{html.escape(name)}</h1><p class=message>{html.escape(str(error))}</p>{cause}"
        f"<p><code>{html.escape(request.method)} {html.escape(request.target)}</code> · id {identifier}</p>"
        f"{frames}<h2>Request</h2><table>{fields}</table>"
        "<p class=note>This page is shown because the app runs in debug mode; otherwise clients see only the id.</p>"
    )
    return Response.html(_PAGE.format(title=html.escape(f"{name}: {error}"), style=_STYLE, body=body), 500)


def import_failed_response(request: Request, reason: str, trace: str) -> Response:
    """Why the app could not be imported, in development: a page that goes away by itself when it can be, or text."""
    headers = {**_BY_ACCEPT, "Cache-Control": "no-store", _IMPORT_FAILED: "1"}
    if not wants_html(request):
        return Response(f"500 {phrase(500)}\n\n{trace}{reason}\n", 500, headers)
    body = (
        f"<h1>The app cannot be imported</h1><p class=message>{html.escape(reason)}</p>"
        f"<pre>{html.escape(trace)}</pre><p class=note>This page is left when it can be again.</p>{_LEAVE}"
    )
    page = _PAGE.format(title=html.escape(reason), style=_STYLE, body=body)
    return Response.html(page, 500, headers)


def _entries(trace: TracebackType | None) -> list[tuple[str, int, str, dict[str, object]]]:
    entries = []
    for frame, line in traceback.walk_tb(trace):
        entries.append((frame.f_code.co_filename, line, frame.f_code.co_qualname, frame.f_locals))
    return entries


def _frame(file: str, line: int, function: str, names: dict[str, object]) -> str:
    rows = []
    for number in range(max(1, line - _CONTEXT), line + _CONTEXT + 1):
        source = linecache.getline(file, number)
        if source:
            mark = " class=here" if number == line else ""
            rows.append(f"<tr{mark}><th>{number}<td><pre>{html.escape(source.rstrip())}</pre>")
    local = "".join(
        f"<tr><th>{html.escape(name)}<td><pre>{html.escape(_hidden(name, _short(value)))}</pre>"
        for name, value in names.items()
    )
    ours = Path(__file__).parent.parent
    state = "" if Path(file).is_relative_to(ours) else " open"
    return (
        f"<details{state}><summary><b>{html.escape(function)}</b> {html.escape(file)}:{line}</summary>"
        f"<table class=source>{''.join(rows)}</table>"
        f"<details><summary>{len(names)} local names</summary><table>{local}</table></details></details>"
    )


def _short(value: object) -> str:
    try:
        text = repr(value)
    except Exception as error:  # a broken __repr__ must not hide the error that is being shown
        text = f"<repr failed: {error!r}>"
    return text if len(text) <= 300 else text[:300] + "…"


def _hidden(name: str, text: str) -> str:
    """`text`, unless its name says that it is a secret: debug pages end up in screenshots."""
    lowered = name.lower()
    secret = any(part in lowered for part in SECRET)
    return "(hidden)" if secret else text


_IMPORT_FAILED = "Firstbyte-Import-Failed"
_LEAVE = (
    "<script>setInterval(()=>fetch(location,{method:'HEAD'}).then("
    f"answer=>answer.headers.has('{_IMPORT_FAILED}')||location.reload()).catch(()=>0),1000)</script>"
)
_STYLE = """
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:4rem auto;padding:0 1.5rem}
h1{font-weight:600;margin-bottom:.5rem}.message{font-size:1.2rem}table{border-collapse:collapse;font-size:.85rem;width:100%}
th{text-align:right;font-weight:400;opacity:.6;padding:0 1rem 0 0;vertical-align:top;white-space:nowrap;width:1%}
pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}summary{cursor:pointer;padding:.4rem 0}
details{border-top:1px solid #8884;padding-left:.5rem}.here{background:#f5a62340}.note{opacity:.6}
"""
_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>{title}</title><style>{style}</style>{body}</html>\n"
)
