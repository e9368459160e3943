"""`firstbyte proxy`."""

from __future__ import annotations

from typing import Any

import click

from firstbyte.cli.options import server_options
from firstbyte.cli.proxying import Proxying, proxy_options
from firstbyte.cli.serving import serve


@click.command()
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@proxy_options
@server_options
def proxy(urls: tuple[str, ...], proxying: Proxying, **options: Any) -> int:
    """Pass every request on to the server at URL; of several, to the one that has least to do."""
    what = f"what {' and '.join(urls)} answer{'s' * (len(urls) == 1)}"
    return serve(lambda: proxying.proxy(urls, options["debug"]), what, proxying=proxying, **options)
