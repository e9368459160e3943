"""What fills parameters from a form, and what is said when it cannot."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pydantic
import pytest

from firstbyte import App, Request, Response
from firstbyte.app.params import Body, File, Form, Header, Query
from firstbyte.client.bodies import FilesInput, encode_form, encode_multipart
from firstbyte.errors import RouteError
from firstbyte.http.percent import QueryInput
from firstbyte.http.uploads import FormData, UploadedFile

FILES = [("photo", ("a.png", b"12345")), ("photo", ("b.png", b""))]


@dataclass
class Album:
    title: str
    photo: list[UploadedFile]
    year: int = 2000
    tags: list[str] = field(default_factory=list)
    cover: UploadedFile | None = None


class Named(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    tags: list[str] = []


class Pydantic(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    title: str
    year: int
    photo: UploadedFile
    tags: list[str] = []


def answer(
    function: Any, data: QueryInput | None = (), files: FilesInput | None = (), method: str = "POST"
) -> Response:
    """What the function answers to a form: multipart, urlencoded where `files` is None, nothing where `data` is."""
    app = App()
    app.add_route("/", function, ["POST"])
    if data is None:
        request = Request.build("POST", "/")
    else:
        body = encode_form(data) if files is None else encode_multipart(files, data)
        assert body.content_type is not None
        request = Request.build("POST", "/", {"Content-Type": body.content_type}, b"".join(body.pieces()))
    response = app.resolve(request).call(request)
    assert isinstance(response, Response)
    request.close_body()
    return response


def problems(response: Response) -> list[dict[str, str]]:
    assert response.status == 422, response.body
    assert isinstance(response.body, bytes)
    found: list[dict[str, str]] = json.loads(response.body)["problems"]
    return found


def test_fields_and_files_by_their_names() -> None:
    def handler(
        title: Annotated[str, Form()],
        year: Annotated[int, Form("y")],
        tag: Annotated[list[str], Form],
        photo: list[UploadedFile],
        note: Annotated[str, Form()] = "none",
        token: Annotated[str | None, Header("X-Token")] = None,
    ) -> Any:
        return {"form": [title, year, tag, note], "files": [[each.filename, each.size] for each in photo]}

    response = answer(handler, [("title", "ä"), ("y", "7"), ("tag", "a"), ("tag", "b")], FILES)
    assert json.loads(response.body) == {
        "form": ["ä", 7, ["a", "b"], "none"],
        "files": [["a.png", 5], ["b.png", 0]],
    }


def test_fields_of_a_form_that_is_urlencoded() -> None:
    def handler(title: Annotated[str, Form()], year: Annotated[int, Form()]) -> str:
        return f"{title} {year}"

    assert answer(handler, {"title": "a", "year": "7"}, None).body == b"a 7"


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (UploadedFile, "a.png"),
        (Annotated[UploadedFile, File()], "a.png"),
        (Annotated[UploadedFile, File], "a.png"),
        (Annotated[UploadedFile | None, File("photo")], "a.png"),
        (Annotated[UploadedFile | None, File("other")], None),
        (UploadedFile | None, "a.png"),
        (list[UploadedFile], ["a.png", "b.png"]),
        (tuple[UploadedFile, ...], ["a.png", "b.png"]),
        (Annotated[list[UploadedFile], File("photo")], ["a.png", "b.png"]),
        (list[UploadedFile] | None, ["a.png", "b.png"]),
    ],
)
def test_annotations_of_files(kind: Any, shown: Any) -> None:
    def handler(photo):  # type: ignore[no-untyped-def]
        if photo is None:
            return {"is": None}
        return {"is": photo.filename if isinstance(photo, UploadedFile) else [each.filename for each in photo]}

    handler.__annotations__ = {"photo": kind}
    assert json.loads(answer(handler, (), FILES).body) == {"is": shown}


def test_the_whole_form() -> None:
    def handler(form: FormData) -> Any:
        return {"fields": form.items(), "files": [name for name, _ in form.files.items()]}

    response = answer(handler, {"a": ["1", "2"]}, FILES)
    assert json.loads(response.body) == {"fields": [["a", "1"], ["a", "2"]], "files": ["photo", "photo"]}


@pytest.mark.parametrize("kind", [Album, Annotated[Album, Form()], Annotated[Album, Body()]])
def test_a_structure_of_fields_and_files(kind: Any) -> None:
    def handler(album: Album) -> Any:
        return [album.title, album.year, album.tags, [each.read().decode() for each in album.photo], album.cover]

    handler.__annotations__ = {"album": kind}
    response = answer(handler, {"title": "t", "year": 7, "tags": ["a", "b"], "other": "x"}, FILES)
    assert json.loads(response.body) == ["t", 7, ["a", "b"], ["12345", ""], None]


def test_a_pydantic_class_of_fields_and_files() -> None:
    def handler(album: Pydantic) -> Any:
        return [album.title, album.year, album.photo.filename, album.tags]

    assert json.loads(answer(handler, {"title": "t", "year": 7, "tags": "a"}, FILES).body) == ["t", 7, "a.png", ["a"]]
    assert problems(answer(handler, {"title": "t", "year": "x"}, FILES))[0]["where"] == "body.year"


def test_a_structure_beside_a_file() -> None:
    def handler(named: Annotated[Named, Form()], photo: UploadedFile) -> Any:
        return [named.title, photo.filename]

    assert json.loads(answer(handler, {"title": "t"}, FILES).body) == ["t", "a.png"]


def test_coroutines_have_them_too() -> None:
    async def handler(photo: UploadedFile, title: Annotated[str, Form()]) -> str:
        return f"{title} {photo.size}"

    app = App()
    app.add_route("/", handler, ["POST"])
    body = encode_multipart(FILES, {"title": "t"})
    request = Request.build("POST", "/", {"Content-Type": body.content_type or ""}, b"".join(body.pieces()))
    assert app.resolve(request).call(request).response.body == b"t 5"


# -- what does not fit


def test_every_problem_is_listed_with_its_place() -> None:
    def handler(
        title: Annotated[str, Form()],
        year: Annotated[int, Form()],
        photo: UploadedFile,
        text: UploadedFile,
        more: list[UploadedFile],
    ) -> None: ...

    found = problems(answer(handler, {"year": "soon", "text": "x"}))
    assert [(each["where"], each["message"]) for each in found] == [
        ("form.title", "the form must have title"),
        ("form.year", "Expected int, got str"),
        ("files.photo", "the form must have the file photo"),
        ("files.text", "text came as text, which is no file"),
        ("files.more", "the form must have the file more"),
    ]


def test_what_does_not_fit_a_structure() -> None:
    def body(album: Album) -> None: ...

    def form(album: Annotated[Album, Form()]) -> None: ...

    for handler, where in ((body, "body"), (form, "form")):
        (problem,) = problems(answer(handler, {"title": "t", "cover": "x"}, FILES))
        assert (problem["where"], problem["expected"]) == (f"{where}.cover", "UploadedFile")


def test_json_has_no_files() -> None:
    def handler(album: Album) -> None: ...

    app = App()
    app.add_route("/", handler, ["POST"])
    request = Request.build("POST", "/", {"Content-Type": "application/json"}, b'{"title": "t", "photo": [1]}')
    response = app.resolve(request).call(request)
    assert problems(response)[0]["where"] == "body.photo[0]"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n", 400),
        ("application/x-www-form-urlencoded", b"&" * 2000, 413),
    ],
)
@pytest.mark.parametrize("optional", [False, True])
def test_what_is_no_form(content_type: str, body: bytes, status: int, optional: bool) -> None:
    def needed(title: Annotated[str, Form()], photo: UploadedFile) -> None: ...

    def wanted(title: Annotated[str, Form()] = "", photo: UploadedFile | None = None) -> None: ...

    app = App()
    app.add_route("/", wanted if optional else needed, ["POST"])
    request = Request.build("POST", "/", {"Content-Type": content_type}, body)
    assert app.resolve(request).call(request).status == status


def test_defaults_where_nothing_comes() -> None:
    def handler(
        title: Annotated[str, Form()] = "none",
        photo: UploadedFile | None = None,
        more: list[UploadedFile] | None = None,
        named: Annotated[Named | None, Form()] = None,
    ) -> Any:
        return [title, photo, more, named]

    assert answer(handler, None).body == b'["none",null,null,null]'
    assert answer(handler, {}).body == b'["none",null,null,null]'


def test_a_body_that_may_be_missing_is_not_read_into_memory_to_see_that() -> None:
    def handler(album: Album | None = None) -> str:
        return "none" if album is None else album.photo[0].read().decode()

    app = App()
    app.add_route("/", handler, ["POST"])
    body = encode_multipart(FILES, {"title": "t"})
    with tempfile.TemporaryFile() as file:
        file.writelines(body.pieces())
        request = Request.build("POST", "/", {"Content-Type": body.content_type or ""}, file)
        assert app.resolve(request).call(request).body == b"12345"
        assert request._body is file
    assert answer(handler, None).body == b"none"


# -- what is refused when the route is added


def refused(function: Any, method: str = "POST", path: str = "/", **options: Any) -> str:
    with pytest.raises(RouteError) as caught:
        App().add_route(path, function, [method], **options)
    line = function.__code__.co_firstlineno
    assert f"{Path(__file__).name}:{line}" in str(caught.value)
    return str(caught.value)


def test_a_body_beside_a_form() -> None:
    def handler(album: Album, photo: UploadedFile, title: Annotated[str, Form()]) -> None: ...

    message = refused(handler)
    assert "album would be the body, which photo and title would be in as well" in message
    assert "Annotated[..., Form()] where album has fields of the form" in message


def test_a_form_of_a_get() -> None:
    def handler(title: Annotated[str, Form()]) -> None: ...

    assert "title would be in the body, which a GET has none of" in refused(handler, "GET")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Annotated[str, File()], "a is from File(): it can be UploadedFile or a list of them"),
        (Annotated[bytes, File()], "a is from File()"),
        (list[UploadedFile | str], "cannot be read from a request"),
        (UploadedFile | str, "cannot be read from a request"),
        (Annotated[UploadedFile, Query()], "cannot be read from a request"),
        (Annotated[UploadedFile, Header()], "cannot be read from a request"),
        (Annotated[UploadedFile, Form()], "cannot be read from a request"),
        (Annotated[list[Album], Form()], "the whole form is one structure"),
        (Annotated[UploadedFile, Body()], "a is a file of a form, and cannot be the body"),
    ],
)
def test_annotations_that_cannot_be(kind: Any, message: str) -> None:
    def handler(a) -> None: ...  # type: ignore[no-untyped-def]

    handler.__annotations__ = {"a": kind}
    assert message in refused(handler)


def test_a_name_that_is_in_the_path() -> None:
    def handler(a: Annotated[str, Form()]) -> None: ...

    assert "a is in the path and cannot be" in refused(handler, path="/{a}")


def test_a_coroutine_that_reads_its_body_itself() -> None:
    async def handler(photo: UploadedFile) -> None: ...

    assert "reads the body itself, and cannot have photo" in refused(handler, streams_body=True)
