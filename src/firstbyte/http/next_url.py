"""Where to go on after a login: `next` of the query, if that is on this site and nowhere else."""

from __future__ import annotations

from firstbyte.http.request import Request


def safe_next(request: Request, default: str = "/", *, name: str = "next") -> str:
    """Where the query's field `name` asks to go on to, for a redirect: a path of this site, with query and fragment.

    `default` where there is none, or where it leads elsewhere: only a path from the root and an absolute URL of the
    very origin that was asked are followed, neither with what browsers would read otherwise (`\\`, tabs, `//`).
    """
    given = request.query.get(name, "")
    if not given.startswith(("/", "http://", "https://")) or given.startswith("//"):
        return default
    here = request.url
    try:
        url = here.join(given)
    except ValueError:
        return default
    if url.origin != here.origin or url.username or url.password or url.path.startswith("//"):
        return default
    return f"{url.target}#{url.fragment}" if url.fragment else url.target
