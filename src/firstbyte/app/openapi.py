"""An app as OpenAPI 3.1, read from the plans by which its handlers are called, and a page that shows it.

Nothing is said twice: paths are the routes', parameters and bodies the signatures', answers the return annotations',
texts the docstrings'. `describe` adds what no signature says.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from firstbyte.app.operations import REFUSALS, Operation, describe, description_of, path_of, problem_response
from firstbyte.app.pages import ProblemDetails
from firstbyte.app.schemas import Schemas, Wanted
from firstbyte.app.websocket import is_websocket
from firstbyte.errors import ConfigurationError, HTTPError
from firstbyte.http.request import Request
from firstbyte.http.response import JSON, Response
from firstbyte.http.send_file import send_file

if TYPE_CHECKING:
    from firstbyte.app.registration import Group

__all__ = ["OpenAPI", "describe"]

_METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")  # that OpenAPI 3.1 has
_PAGE = Path(__file__).with_name("swagger")
_ASSETS = ("start.js", "swagger-ui-bundle.js", "swagger-ui.css")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)


class OpenAPI:
    """A plugin that describes an app, or a group: `app.install(OpenAPI(title="Tasks"))`.

    It adds the document, and a page that shows it.

    `version` is that of the API and not of OpenAPI; `description` may have CommonMark. `path` is where the document is,
    `docs` where the page, each None for nowhere.
    """

    def __init__(
        self,
        *,
        title: str = "API",
        version: str = "0.1.0",
        description: str = "",
        path: str | None = "/openapi.json",
        docs: str | None = "/docs",
    ) -> None:
        if docs is not None and path is None:
            raise ConfigurationError("OpenAPI: the page at docs shows the document, which must be at a path")
        self.title = title
        self.version = version
        self.description = description
        self.path = path
        self.docs = docs
        self._app: Group | None = None
        self._document: dict[str, Any] | None = None

    def install(self, app: Group) -> None:
        """Adds the routes of the document and the page. Raises RouteError where there are others."""
        self._app = app
        hidden = describe(hidden=True)
        if self.path is not None:
            app.add_route(self.path, hidden(self._answer_document))
        if self.docs is not None:
            app.add_route(self.docs, hidden(self._answer_page))
            app.add_route(f"{self.docs.rstrip('/')}/{{name}}", hidden(self._answer_asset))

    @classmethod
    def of(cls, app: Group) -> OpenAPI:
        """The one that is installed in the app, or else one with the defaults."""
        owners = (getattr(route.function, "__self__", None) for route in app.parts.routes)
        return next((owner for owner in owners if isinstance(owner, cls)), None) or cls()

    def document(self, app: Group) -> dict[str, Any]:
        """The description of the routes of an app, or of those of a group, as OpenAPI 3.1."""
        operations = [
            Operation(route, method)
            for route in app.parts.routes
            if app in route.group.chain
            and not is_websocket(route.function)
            and not description_of(route.function).hidden
            for method in route.methods
            if method in _METHODS
        ]
        wanted = [each for operation in operations for each in operation.wanted]
        schemas = Schemas([*wanted, Wanted(ProblemDetails, "serialization")])
        paths: dict[str, dict[str, Any]] = {}
        for operation, name in zip(operations, _names(operations), strict=True):
            at = paths.setdefault(path_of(operation.route.pattern), {})
            at.setdefault(operation.method.lower(), operation.described(name, schemas))
        info = {"title": self.title, "version": self.version}
        if self.description:
            info["description"] = self.description
        refusals = {str(status): problem_response(text, schemas) for status, text in REFUSALS.items()}
        components = {"schemas": schemas.used_in([paths, refusals]), "responses": refusals}
        schemes = {name: scheme for operation in operations for name, scheme in operation.schemes.items()}
        if schemes:
            components["securitySchemes"] = schemes
        return {"openapi": "3.1.0", "info": info, "paths": paths, "components": components}

    def _answer_document(self, request: Request, **in_prefix: Any) -> Response:
        assert self._app is not None
        if self._document is None:
            self._document = self.document(self._app)
        document = self._document
        if request.root_path:  # it is mounted below a path of another app, or behind a proxy
            document = {**document, "servers": [{"url": request.root_path}]}
        return Response(msgspec.json.encode(document), 200, None, JSON)

    def _answer_page(self, request: Request, **in_prefix: Any) -> Response:
        assert self.docs is not None
        assert self.path is not None
        docs = self.docs.rstrip("/")
        root = request.root_path + request.raw_path.rstrip("/").removesuffix(docs)  # with the prefix of a group
        said = {"title": self.title, "document": root + self.path, "assets": f"{root}{docs}/"}
        page = (_PAGE / "index.html").read_text().format(**{name: html.escape(text) for name, text in said.items()})
        return Response.html(page, headers={"Content-Security-Policy": _POLICY})

    def _answer_asset(self, name: str, request: Request, **in_prefix: Any) -> Response:
        if name not in _ASSETS:
            raise HTTPError(404, f"nothing is at {request.path}")
        response = send_file(_PAGE / name, request)
        response.headers["Cache-Control"] = "max-age=3600"
        return response


def _names(operations: list[Operation]) -> list[str]:
    """The operationId of each: its route's name; with the method, then a number, where that is taken."""
    plain = [operation.route.name or "operation" for operation in operations]
    names: list[str] = []
    for name, operation in zip(plain, operations, strict=True):
        base = name if plain.count(name) == 1 else f"{name}_{operation.method.lower()}"
        name, number = base, 2
        while name in names:
            name, number = f"{base}_{number}", number + 1
        names.append(name)
    return names
