"""A folder to put files into, with a browser or curl: `firstbyte run examples/uploads.py:app`.

The files are kept in the folder that UPLOADS names, or in uploads/ beside this file.
"""

import hashlib
import os
from html import escape
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from firstbyte import App, HTTPError, Request, Response, UploadedFile, send_file
from firstbyte.app.params import Form

FOLDER = Path(os.environ.get("UPLOADS", Path(__file__).with_name("uploads")))
FOLDER.mkdir(parents=True, exist_ok=True)

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Uploads</title>
<style>
  body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }}
  form {{ display: grid; gap: .75rem; padding: 1rem; border: 1px solid #ccc; border-radius: .5rem }}
</style>
<h1>Uploads</h1>
<form method="post" action="./" enctype="multipart/form-data">
  <label>Files <input type="file" name="files" multiple></label>
  <label>Your name <input name="person" autocomplete="name"></label>
  <button>Upload</button>
</form>
<p role="status">{said}</p>
<ul>{items}</ul>
"""

app = App()


def names():
    """What is in the folder; a name with a dot in front is a file that is being saved."""
    return {path.name for path in FOLDER.iterdir() if not path.name.startswith(".")}


@app.get("/")
def page(said: str = ""):
    """The form, and what is in the folder."""
    items = "".join(f'<li><a href="files/{quote(name)}">{escape(name)}</a></li>\n' for name in sorted(names()))
    return PAGE.format(said=escape(said), items=items)


@app.post("/")
def upload(files: list[UploadedFile] | None = None, person: Annotated[str, Form()] = ""):
    """Saves the files under names that are safe and free; the page says so after a redirect, which can be reloaded."""
    saved = [file.save(FOLDER).name for file in files or ()]
    said = f"{person or 'Somebody'} uploaded {', '.join(saved) or 'nothing'}"
    return Response(b"", 303, {"Location": f"./?said={quote(said)}"})


@app.get("/files/{name}")
def download(name: str, request: Request):
    """A file as it came: to be saved, never to be run as a page of this site."""
    if name not in names():
        raise HTTPError(404)
    response = send_file(FOLDER / name, request, download_name=name)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


@app.route("/checksums", ["POST"], streams_body=True, max_body=1 << 40)
def checksums(request: Request):
    """The SHA-256 of files of any size, none of which is ever kept: they are read as they come."""
    sums = []
    for part in request.stream_parts():
        digest, size = hashlib.sha256(), 0
        for piece in part:
            digest.update(piece)
            size += len(piece)
        sums.append({"name": part.name, "filename": part.filename, "bytes": size, "sha256": digest.hexdigest()})
    return sums
