"""The description of an app: what is in it, held to the specification, and the page that shows it."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict
from uuid import UUID

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

from app.support import ask, get
from firstbyte import App, Request, Response, UploadedFile
from firstbyte.app.openapi import OpenAPI, describe
from firstbyte.app.params import Body, Cookie, File, Form, Header, Query
from firstbyte.app.rules import rate_limit, requires
from firstbyte.errors import ConfigurationError, RouteError
from firstbyte.http.uploads import FormData
from firstbyte.websocket import WebSocket

SCHEMA = "#/components/schemas/"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Task(msgspec.Struct):
    """What is to be done."""

    title: Annotated[str, msgspec.Meta(min_length=1)]
    tags: list[str] = []
    due: date | None = None


class Tree(msgspec.Struct):
    leaves: dict[str, Task]
    trees: list[Tree] = []


class Typed(TypedDict):
    n: int


class Model(BaseModel):
    n: int
    children: list[Model] = []


@dataclass
class Filters:
    page: Annotated[int, msgspec.Meta(ge=1, description="Which one.")]
    colour: Colour | None = None
    tag: list[str] = field(default_factory=list)


@dataclass
class Album:
    title: str
    photos: list[UploadedFile]
    cover: UploadedFile | None = None


def described(app: App) -> dict[str, Any]:
    """The document of an app, which is valid."""
    document = msgspec.json.decode(msgspec.json.encode(OpenAPI().document(app)))
    OpenAPIV31SpecValidator(document).validate()
    assert isinstance(document, dict)
    return document


def operation(function: Callable[..., Any], path: str = "/", method: str = "GET") -> dict[str, Any]:
    """What a document says of an app's only route."""
    app = App()
    app.add_route(path, function, [method])
    (at,) = described(app)["paths"].values()
    found = at[method.lower()]
    assert isinstance(found, dict)
    return found


def annotated(**annotations: Any) -> Callable[..., Any]:
    """A handler with these annotations."""

    def handler(x: Any) -> Any:
        return None

    handler.__annotations__ = annotations
    return handler


# -- what is taken


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (int, {"type": "integer"}),
        (int | None, {"type": "integer"}),
        (bool, {"type": "boolean"}),
        (UUID, {"type": "string", "format": "uuid"}),
        (Annotated[int, msgspec.Meta(ge=1, lt=5)], {"type": "integer", "minimum": 1, "exclusiveMaximum": 5}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal[1, "b"], {"enum": [1, "b"]}),
        (Colour, {"$ref": f"{SCHEMA}Colour"}),
    ],
)
def test_a_parameter_of_the_query(annotation: Any, schema: dict[str, Any]) -> None:
    found = operation(annotated(x=annotation))
    assert found["parameters"] == [{"name": "x", "in": "query", "required": True, "schema": schema}]
    assert found["responses"]["422"] == {"$ref": "#/components/responses/422"}
    assert "400" not in found["responses"]


def test_defaults_names_and_places() -> None:
    def handler(
        colour: Colour = Colour.RED,
        q: Annotated[str | None, Query("search")] = None,
        x_token: Annotated[str, Header()] = "",
        authorization: Annotated[str, Header()] = "",
        sid: Annotated[int, Cookie("session")] = 1,
    ) -> None:
        pass

    parameters = operation(handler)["parameters"]
    assert [(each["in"], each["name"]) for each in parameters] == [
        ("query", "colour"), ("query", "search"), ("header", "x-token"), ("cookie", "session"),
    ]  # fmt: skip
    assert parameters[0]["schema"] == {"$ref": f"{SCHEMA}Colour", "default": "red"}
    assert not any(each["required"] for each in parameters)


def test_a_structure_that_is_the_whole_query() -> None:
    def handler(filters: Annotated[Filters, Query()]) -> None:
        pass

    page, colour, tag = operation(handler)["parameters"]
    assert page == {
        "name": "page",
        "in": "query",
        "required": True,
        "description": "Which one.",
        "schema": {"type": "integer", "minimum": 1},
    }
    assert (colour["required"], colour["schema"]) == (False, {"$ref": f"{SCHEMA}Colour"})
    assert (tag["name"], tag["schema"]["type"]) == ("tag", "array")


def test_the_path() -> None:
    def handler(id: int, day: date, name: str, rest: Any) -> None:
        pass

    def constrained(n: Annotated[int, msgspec.Meta(ge=1)]) -> None:
        pass

    app = App()
    app.get("/{id}/{day}/{name}.txt/{rest:path}")(handler)
    app.get("/n/{n:int}")(constrained)
    app.get("/all/{a}")(lambda **kwargs: "")
    paths = described(app)["paths"]
    assert list(paths) == ["/{id}/{day}/{name}.txt/{rest}", "/n/{n}", "/all/{a}"]
    assert paths["/n/{n}"]["get"]["parameters"][0]["schema"] == {"type": "integer", "minimum": 1}
    found = paths["/{id}/{day}/{name}.txt/{rest}"]["get"]
    assert [each["schema"] for each in found["parameters"]] == [
        {"type": "integer", "format": "int64"},
        {"type": "string", "format": "date"},
        {"type": "string", "minLength": 1},
        {"type": "string"},
    ]
    assert found["responses"].keys() == {"204", "400", "404"}
    assert paths["/all/{a}"]["get"]["parameters"][0]["name"] == "a"


JSON_FORMS_MSGPACK = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]


@pytest.mark.parametrize(
    ("annotation", "media_types"),
    [
        (Task, [*JSON_FORMS_MSGPACK, "application/msgpack"]),
        (Typed, [*JSON_FORMS_MSGPACK, "application/msgpack"]),
        (Tree, ["application/json", "application/msgpack"]),
        (list[Task], ["application/json", "application/msgpack"]),
        (dict[str, int], ["application/json", "application/msgpack"]),
        (Model, ["application/json", "application/msgpack"]),
        (Album, ["multipart/form-data"]),
        (Annotated[bytes, Body()], ["application/octet-stream"]),
        (Annotated[str, Body()], ["text/plain"]),
    ],
)
def test_a_body(annotation: Any, media_types: list[str]) -> None:
    body = operation(annotated(x=annotation), method="POST")["requestBody"]
    assert list(body["content"]) == media_types
    assert body.get("required", False) == (len(media_types) > 1 or media_types == ["multipart/form-data"])


def test_a_form_has_no_null_and_no_list_of_nothing() -> None:
    content = operation(annotated(x=Task), method="POST")["requestBody"]["content"]
    assert content["application/json"]["schema"] == {"$ref": f"{SCHEMA}Task"}
    for media_type in JSON_FORMS_MSGPACK[1:]:
        properties = content[media_type]["schema"]["properties"]
        assert properties["due"] == {"type": "string", "format": "date"}
        assert "minItems" not in properties["tags"]
    content = operation(annotated(x=Album), method="POST")["requestBody"]["content"]
    assert content["multipart/form-data"]["schema"]["properties"]["photos"]["minItems"] == 1


def test_structures_are_described_once_and_those_that_nobody_uses_not_at_all() -> None:
    app = App()
    app.post("/tree")(annotated(x=Tree, **{"return": Task}))
    app.post("/model")(annotated(x=Model))
    app.get("/")(annotated(x=Annotated[Filters, Query()]))
    document = described(app)
    assert document["paths"]["/tree"]["post"]["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": f"{SCHEMA}Tree"
    }
    schemas = document["components"]["schemas"]
    assert list(schemas) == ["Colour", "Model", "Problem", "ProblemDetails", "Task", "Tree"]
    assert schemas["Task"]["description"] == "What is to be done."
    assert schemas["Colour"] == {"title": "Colour", "enum": ["blue", "red"], "type": "string"}


def test_structures_of_one_name() -> None:
    other = type("Task", (BaseModel,), {"__annotations__": {"other": int}})
    app = App()
    app.post("/")(annotated(x=other, **{"return": Task}))
    schemas = described(app)["components"]["schemas"]
    assert "title" in schemas["Task"]["properties"]
    assert "other" in schemas["pydantic.Task"]["properties"]


def test_fields_and_files_of_a_form() -> None:
    def handler(
        photo: UploadedFile,
        more: Annotated[list[UploadedFile], File("others")],
        title: Annotated[str, Form()],
        year: Annotated[int, Form()] = 2000,
    ) -> None:
        pass

    content = operation(handler, method="POST")["requestBody"]["content"]
    assert content.keys() == {"multipart/form-data"}
    binary = {"type": "string", "format": "binary"}
    assert content["multipart/form-data"]["schema"] == {
        "type": "object",
        "properties": {
            "photo": binary,
            "others": {"type": "array", "items": binary, "minItems": 1},
            "title": {"type": "string"},
            "year": {"type": "integer", "default": 2000},
        },
        "required": ["photo", "others", "title"],
    }


@pytest.mark.parametrize(
    ("annotation", "properties"), [(FormData, set()), (Annotated[Task, Form()], {"title", "tags", "due"})]
)
def test_a_whole_form(annotation: Any, properties: set[str]) -> None:
    content = operation(annotated(x=annotation), method="POST")["requestBody"]["content"]
    assert list(content) == ["application/x-www-form-urlencoded", "multipart/form-data"]
    assert content["multipart/form-data"]["schema"]["properties"].keys() == properties


def test_what_providers_take_is_taken_as_well() -> None:
    app = App()

    @app.provide
    def user(token: Annotated[str, Header("X-Token")], q: str = "") -> Iterator[Colour]:
        yield Colour.RED

    @app.get("/")
    def handler(request: Request, who: Colour, q: str = "") -> None:
        pass

    parameters = described(app)["paths"]["/"]["get"]["parameters"]
    assert [(each["in"], each["name"]) for each in parameters] == [("query", "q"), ("header", "X-Token")]


# -- what is answered


@pytest.mark.parametrize(
    ("annotation", "responses"),
    [
        (None, {"204": None}),
        (str, {"200": "text/html"}),
        (bytes, {"200": "application/octet-stream"}),
        (Task, {"200": "application/json"}),
        (list[Task] | None, {"200": "application/json", "204": None}),
        (tuple[Task, Literal[201]], {"201": "application/json"}),
        (tuple[Task, Literal[201, 202], dict[str, str]], {"201": "application/json", "202": "application/json"}),
        (tuple[Task, int], {"2XX": "application/json"}),
        (Task | tuple[Typed, Literal[409]], {"200": "application/json", "409": "application/json"}),
        (Iterator[str], {"200": "text/html"}),
        (Path, {"200": "*/*"}),
        (Response, {"default": None}),
        (Any, {"default": None}),
    ],
)
def test_answers(annotation: Any, responses: dict[str, str | None]) -> None:
    found = operation(annotated(x=int, **{"return": annotation}))["responses"]
    assert found.pop("422")
    assert {status: next(iter(each.get("content", [None]))) for status, each in found.items()} == responses


def test_several_answers_of_one_status() -> None:
    found = operation(annotated(x=int, **{"return": Task | Model | list[int]}))["responses"]["200"]
    assert found["content"]["application/json"]["schema"] == {
        "anyOf": [
            {"$ref": f"{SCHEMA}Task"},
            {"$ref": f"{SCHEMA}Model"},
            {"type": "array", "items": {"type": "integer"}},
        ]
    }


# -- what is said of it


def test_texts_tags_and_errors() -> None:
    @describe(tags=["tasks"], errors={409: "Taken."})
    def handler() -> None:
        """Make
        a task.

        It is *new*.

        Really.
        """

    found = operation(handler)
    assert (found["summary"], found["description"]) == ("Make a task.", "It is *new*.\n\nReally.")
    assert found["tags"] == ["tasks"]
    assert found["responses"]["409"]["description"] == "Taken."
    assert "deprecated" not in found


def test_groups_rules_and_hosts() -> None:
    app = App()
    api = app.group("/api/{version}", name="api", rules=[requires(header="X-Token"), rate_limit(5)])
    plain = app.group("/plain")
    tenants = app.host("{tenant}.example.org", name="tenants", rules=[requires(header="Authorization", status=403)])
    api.get("/tasks")(lambda version: "")
    api.get("/other")(describe(tags=["others"], errors={429: "Slowly."})(lambda version: ""))
    plain.get("/")(lambda: "")
    tenants.get("/home")(lambda tenant: "")
    document = described(app)
    tasks, other, simple, home = (each["get"] for each in document["paths"].values())
    assert [each["tags"] for each in (tasks, other, simple, home)] == [["api"], ["others"], ["/plain"], ["tenants"]]
    assert tasks["security"] == [{"X-Token": []}]
    assert tasks["responses"]["401"]["description"] == "Refused by a rule: unauthorized."
    assert other["responses"]["429"]["description"] == "Slowly."
    assert home["servers"] == [{"url": "//{tenant}.example.org", "variables": {"tenant": {"default": "tenant"}}}]
    assert home["responses"].keys() == {"403", "default"}
    assert "parameters" not in home
    assert document["components"]["securitySchemes"] == {
        "X-Token": {"type": "apiKey", "in": "header", "name": "X-Token"},
        "Authorization": {"type": "http", "scheme": "bearer"},
    }


def test_deprecated_and_hidden() -> None:
    def old() -> None:
        pass

    assert operation(describe(deprecated=True)(old))["deprecated"] is True

    def older() -> None:
        pass

    older.__deprecated__ = "by warnings.deprecated"  # type: ignore[attr-defined]
    assert operation(older)["deprecated"] is True
    app = App()
    app.get("/")(describe(hidden=True)(lambda: ""))

    @app.websocket("/ws")
    async def ws(ws: WebSocket) -> None:
        pass

    app.route("/dav", ["PROPFIND"])(lambda: "")
    assert described(app)["paths"] == {}


def test_an_error_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="from 400 to 599, not 200"):
        describe(errors={200: "fine"})


def test_names_are_told_apart() -> None:
    app = App()

    def show() -> None:
        pass

    app.route("/a", ["GET", "POST"])(show)
    app.get("/b")(show)
    app.get("/c", name="other")(show)
    paths = described(app)["paths"]
    assert [each["operationId"] for at in paths.values() for each in at.values()] == [
        "show_get", "show_post", "show_get_2", "other",
    ]  # fmt: skip


# -- where it is


def test_the_document_and_the_page() -> None:
    app = App()
    OpenAPI(title="<Tasks>", version="2", description="All of them.").install(app)
    app.get("/tasks")(annotated(x=int))
    document = msgspec.json.decode(ask(app, "GET", "/openapi.json").body)
    assert document["info"] == {"title": "<Tasks>", "version": "2", "description": "All of them."}
    assert list(document["paths"]) == ["/tasks"]
    page = ask(app, "GET", "/docs")
    assert b"<title>&lt;Tasks&gt;</title>" in page.body
    assert b'src="/docs/start.js"' in page.body
    assert b'data-document="/openapi.json"' in page.body
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert get(app, "/docs/start.js")[0] == 200
    assert [get(app, f"/docs/{name}")[0] for name in ("LICENSE", "..%2Fopenapi.py", "x")] == [404, 404, 404]


def test_below_a_mount() -> None:
    inner, outer = App(), App()
    OpenAPI().install(inner)
    outer.mount("/v1", inner)
    assert msgspec.json.decode(ask(outer, "GET", "/v1/openapi.json").body)["servers"] == [{"url": "/v1"}]
    assert b'data-document="/v1/openapi.json"' in ask(outer, "GET", "/v1/docs").body


def test_of_a_group() -> None:
    app = App()
    api = app.group("/api/{version}")
    app.install(OpenAPI(docs=None))
    api.install(OpenAPI())
    api.get("/tasks")(lambda version: "")
    app.get("/")(lambda: "")
    assert list(msgspec.json.decode(ask(app, "GET", "/openapi.json").body)["paths"]) == ["/api/{version}/tasks", "/"]
    document = msgspec.json.decode(ask(app, "GET", "/api/1/openapi.json").body)
    assert list(document["paths"]) == ["/api/{version}/tasks"]
    page = ask(app, "GET", "/api/1/docs").body
    assert b'data-document="/api/1/openapi.json"' in page
    assert b'src="/api/1/docs/start.js"' in page
    assert get(app, "/api/1/docs/start.js")[0] == 200


def test_elsewhere_and_nowhere() -> None:
    app = App()
    OpenAPI(path="/api.json", docs="/api/").install(app)
    assert b'src="/api/start.js"' in ask(app, "GET", "/api/").body
    app = App()
    OpenAPI(docs=None).install(app)
    assert [get(app, path)[0] for path in ("/openapi.json", "/docs")] == [200, 404]
    with pytest.raises(ConfigurationError, match="must be at a path"):
        OpenAPI(path=None)


def test_it_is_installed_once() -> None:
    app = App()
    installed = OpenAPI(title="mine")
    installed.install(app)
    assert OpenAPI.of(app) is installed
    assert OpenAPI.of(App()).title == "API"
    with pytest.raises(RouteError, match=r"/openapi\.json"):
        OpenAPI().install(app)


def test_the_files_of_the_page_are_those_of_the_package_they_come_from() -> None:
    folder = Path(OpenAPI.__init__.__code__.co_filename).with_name("swagger")
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert "Apache License" in (folder / "LICENSE").read_text()
