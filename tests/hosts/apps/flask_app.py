"""A Flask site: sessions, uploads, streaming, files, errors, ten routes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, abort, jsonify, redirect, request, send_file, session, stream_with_context, url_for

app = Flask(__name__)
app.secret_key = "for tests alone"
after: list[str] = []


@app.get("/")
def home() -> str:
    return "home"


@app.get("/items/<int:number>")
def item(number: int) -> Response:
    return jsonify(number=number, args=request.args.to_dict(flat=False), url=request.url)


@app.post("/form")
def form() -> Response:
    return jsonify(request.form.to_dict())


@app.post("/json")
def json() -> Any:
    return {"got": request.get_json()}, 201, {"X-Made": "yes"}


@app.post("/login")
def login() -> Any:
    session["user"] = request.form["user"]
    return redirect(url_for("me"))


@app.get("/me")
def me() -> str:
    return str(session.get("user", "nobody"))


@app.post("/upload")
def upload() -> Response:
    file = request.files["file"]
    data = file.read()
    return jsonify(name=file.filename, size=len(data), sha=hashlib.sha256(data).hexdigest(), note=request.form["note"])


@app.get("/stream")
def stream() -> Response:
    def lines() -> Iterator[str]:
        for number in range(1000):
            yield f"{request.path} {number}\n"

    return Response(stream_with_context(lines()), mimetype="text/plain")


@app.get("/file")
def file() -> Response:
    return send_file(__file__, mimetype="text/x-python", conditional=True, etag=True)


@app.get("/memory")
def memory() -> Response:
    return send_file(io.BytesIO(b"m" * 100_000), mimetype="a/b")


@app.get("/broken")
def broken() -> str:
    raise RuntimeError("on purpose")


@app.get("/gone")
def gone() -> None:
    abort(410, "it is gone")


@app.get("/after")
def behind() -> Response:
    response = Response(f"{len(after)} before")
    response.call_on_close(lambda: after.append("closed"))
    return response
