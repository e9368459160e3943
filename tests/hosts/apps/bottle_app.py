"""A Bottle site."""

from __future__ import annotations

from typing import Any

from bottle import Bottle, request, response, static_file

app = Bottle()


@app.get("/hello/<name>")
def hello(name: str) -> dict[str, str]:
    return {"hello": name, "q": request.query.q}


@app.post("/form")
def form() -> str:
    response.set_cookie("seen", request.forms.get("a"))
    return f"{request.forms.get('a')} {request.get_cookie('seen')}"


@app.post("/upload")
def upload() -> str:
    return str(len(request.files.get("file").file.read()))


@app.get("/file")
def file() -> Any:
    return static_file("bottle_app.py", root=__file__.rpartition("/")[0], mimetype="text/plain")


@app.get("/stream")
def stream() -> Any:
    for number in range(100):
        yield f"{number}\n"
