"""Answers with what was asked, as the framework has parsed it: `firstbyte run examples/echo.py`.

Any method and any path. A body of JSON or a form comes back as what it says; any other as text, or in Base64.
"""

import base64
from typing import Any

from firstbyte import App, Request, UploadedFile

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

app = App()


@app.route("/{path:path}", METHODS)
def echo(path: str, request: Request) -> dict[str, Any]:
    """Say what was asked."""
    media = request.media_type
    return {
        "method": request.method,
        "url": str(request.url),
        "path": f"/{path}",
        "query": request.query.to_dict(),
        "headers": request.headers.items(),
        "cookies": request.cookies,
        "client": request.client and request.client.host,
        "type": media and media.essence,
        **body_of(request, media.essence if media else ""),
    }


def body_of(request: Request, essence: str) -> dict[str, Any]:
    """The body in the member that is named for what it is. Raises HTTPError for one that is not what it says."""
    if essence in ("application/x-www-form-urlencoded", "multipart/form-data"):
        form = request.form()
        return {"form": form.to_dict(), "files": [about(name, file) for name, file in form.files.items()]}
    if essence == "application/json" or essence.endswith("+json"):
        return {"json": request.json()}
    if not request.body:
        return {}
    try:
        return {"text": request.body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(request.body).decode()}


def about(name: str, file: UploadedFile) -> dict[str, Any]:
    media = file.media_type
    return {"name": name, "filename": file.filename, "type": media and media.essence, "bytes": file.size}
