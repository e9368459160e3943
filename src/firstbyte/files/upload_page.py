"""The page to upload with: a fragment for a folder's listing, and a page of its own."""

from __future__ import annotations

import html
from functools import cache
from pathlib import Path

from firstbyte.http.request import Request
from firstbyte.http.response import Response

_ASSETS = Path(__file__).with_name("assets")


@cache
def upload_fragment() -> str:
    """HTML for the page of a folder (`StaticFiles(listing_extra=...)`); without scripts it is a form."""
    page, style, script = ((_ASSETS / f"upload.{kind}").read_text("utf-8") for kind in ("html", "css", "js"))
    return f"<style>{style}</style>{page}<script>{script}</script>"


def upload_page(request: Request) -> Response:
    """The page of its own, for folders whose index.html hides the listing."""
    return Response.html(_PAGE.format(path=html.escape(request.path), fragment=upload_fragment()))


_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<link rel="icon" href="data:,"><title>Upload to {path}</title>'
    "<style>:root{{color-scheme:light dark}}body{{font:1rem/1.7 system-ui,sans-serif;"
    "max-width:50rem;margin:3rem auto;padding:0 1rem}}</style>"
    '<h1>Upload to <a href="./">{path}</a></h1>{fragment}</html>\n'
)
