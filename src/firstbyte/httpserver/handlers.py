"""The request handlers of `http.server`, on a request that has been read and checked already."""

from __future__ import annotations

import copy
import functools
import html
import http.server
import io
import os
import shutil
import sys
import urllib.parse
from http import HTTPStatus
from pathlib import Path
from typing import Any

from firstbyte.errors import ConfigurationError, HTTPError
from firstbyte.hosts.cgi import CGI
from firstbyte.http.headers import check_field
from firstbyte.httpserver.conversation import Conversation, Output

_NOWHERE = os.devnull + "/"  # a path at which there is nothing, and never can be


class BaseHTTPRequestHandler(http.server.BaseHTTPRequestHandler):
    """Answers one request by its method `do_GET`, `do_POST`, ...; see `http.server.BaseHTTPRequestHandler`.

    The body is complete before the method is called, and `rfile` ends with it. What is written to `wfile` is sent as it
    is written: by its Content-Length if the handler gives one, else in chunks. An instance is made for every request.
    """

    protocol_version = "HTTP/1.1"
    server_version = "firstbyte"
    sys_version = ""  # which version of what runs here is nobody's business

    request: Conversation
    wfile: Output

    def __init__(self, request: Any, client_address: Any, server: Any, **options: Any) -> None:
        if isinstance(request, Conversation):
            super().__init__(request, client_address, server, **options)  # type: ignore[arg-type]
            return
        from firstbyte.httpserver.accepted import serve_accepted  # here, since few programs have such a server

        def answer(conversation: Conversation) -> None:
            # Each request has a handler of its own, with what this one has been given before it came here.
            super(BaseHTTPRequestHandler, copy.copy(self)).__init__(conversation, client_address, server, **options)  # type: ignore[arg-type]

        serve_accepted(request, client_address, server, answer)

    def setup(self) -> None:
        """Makes `connection`, `rfile` and `wfile`. `rfile` is the head until `parse_request`, then the body."""
        self.connection = self.request
        self.rfile = io.BytesIO(self.request.http.head)
        self.wfile = self.request.output
        self._is_parsed = False
        self._status = 0
        self._fields: list[tuple[str, str]] = []

    def handle(self) -> None:
        """Handles the request: one, since the engine makes another handler for the connection's next."""
        self.handle_one_request()

    def handle_one_request(self) -> None:
        """Calls the method that is named like the request's."""
        if not self.parse_request():
            return
        method = getattr(self, f"do_{self.command}", None)
        if method is None:
            self.send_error(HTTPStatus.NOT_IMPLEMENTED, f"Unsupported method ({self.command!r})")
            return
        method()

    def parse_request(self) -> bool:
        """Sets `command`, `path`, `headers` and their like. An override may answer and return False.

        A second time it finds no request, and says so as at the end of a connection: False, and `close_connection`.
        """
        if self._is_parsed:
            self.close_connection = True
            return False
        self._is_parsed = True
        self.rfile = self.request.body  # type: ignore[assignment]
        request = self.request.http
        line = request.head.partition(b"\r\n")[0] or f"{request.method} {request.target} HTTP/1.1".encode("latin-1")
        self.raw_requestline = line + b"\r\n"
        self.requestline = line.decode("latin-1")
        self.command, path, self.request_version = self.requestline.split(" ")
        # What begins with two slashes names a host, wherever it is written as a Location.
        self.path = "/" + path.lstrip("/") if path.startswith("//") else path
        self.headers = self.MessageClass()
        for name, value in request.headers.items():
            self.headers.set_raw(name, value)
        if "Transfer-Encoding" in self.headers:  # the chunks have been taken apart
            del self.headers["Transfer-Encoding"]
            self.headers.set_raw("Content-Length", str(self.rfile.seek(0, io.SEEK_END)))
            self.rfile.seek(0)
        self.close_connection = self.request.closes
        return True

    def finish(self) -> None:
        """Nothing is left to do: the engine sends the answer, and closes the body."""

    def send_response_only(self, code: int, message: str | None = None) -> None:
        """Begins the head of an answer, in the place of one that nothing is on its way of. `message` is not sent.

        Raises ValueError for a status that HTTP does not have.
        """
        if not 100 <= code <= 599 or code == 101:
            raise ValueError(f"{code:d} is no status that can be sent: they are from 200 to 599")
        self._status = int(code)
        self._fields = []

    def send_header(self, keyword: str, value: str) -> None:
        """Adds a field to the head. Raises ValueError for what is none: a newline would begin another."""
        value = str(value)
        check_field(keyword, value)
        self._fields.append((keyword, value.strip(" \t")))
        if keyword.lower() == "connection" and value.lower() in ("close", "keep-alive"):
            self.close_connection = value.lower() == "close"

    def end_headers(self) -> None:
        """Ends the head: it is sent with the first bytes that are written, at `wfile.flush()`, or in the end.

        Without `send_response`, behind the head of the answer, it writes the fields of a part of the body (multipart).
        """
        status, fields = self._status, self._fields
        self._status, self._fields = 0, []
        if status >= 200:
            self.wfile.begin(status, fields)
            if self.close_connection:
                self.wfile.close_after()
        elif not status:  # else it is a 100 (Continue), which was sent before the body was read
            self.wfile.write_fields(fields)

    def flush_headers(self) -> None:
        """Does nothing: see `end_headers`."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Sends a page that names the error, and logs it. The connection goes on."""
        phrase, description = self.responses.get(code, ("???", "???"))
        message = phrase if message is None else message
        self.log_error("code %d, message %s", code, message)
        self.send_response(code, message)
        page = b""
        if code not in (HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED):
            values = {
                "code": code,
                "message": html.escape(message, quote=False),
                "explain": html.escape(description if explain is None else explain, quote=False),
            }
            page = (self.error_message_format % values).encode("utf-8", "replace")
            self.send_header("Content-Type", self.error_content_type)
            self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if page and self.command != "HEAD":
            self.wfile.write(page)

    def version_string(self) -> str:
        """The field Server."""
        return f"{self.server_version} {self.sys_version}".strip()


class SimpleHTTPRequestHandler(BaseHTTPRequestHandler, http.server.SimpleHTTPRequestHandler):
    """Serves the files below `directory`; see `http.server.SimpleHTTPRequestHandler`.

    What is hidden (but for .well-known, RFC 8615) and links that lead out of the folder are not found, unless the class
    says otherwise: `serves_hidden`, `follows_links`.
    """

    server_version = BaseHTTPRequestHandler.server_version
    index_pages = ("index.html", "index.htm")
    serves_hidden = False
    follows_links = False

    def translate_path(self, path: str) -> str:
        """The file that a path of a request names; one that does not exist if it is not to be served."""
        found = super().translate_path(path)
        folder = Path(self.directory)
        return found if self._may_be_served(folder, Path(found)) else _NOWHERE

    def list_directory(self, path: str | os.PathLike[str]) -> io.BytesIO | None:
        """Sends the head of a page that links to what is in a folder, and gives the page; None after an error."""
        folder = Path(path)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name.lower())
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND, "No permission to list directory")
            return None
        rows = []
        for entry in entries:
            if self._may_be_served(folder, Path(entry.path)):
                name = entry.name + "/" if os.path.isdir(entry.path) else entry.name  # noqa: PTH112 - never raises
                shown = entry.name + "@" if entry.is_symlink() else name
                address = urllib.parse.quote(name, errors="surrogatepass")
                rows.append(f'<li><a href="{address}">{html.escape(shown, quote=False)}</a></li>')
        asked = urllib.parse.unquote(self.path, errors="replace")
        title = f"Directory listing for {html.escape(asked, quote=False)}"
        charset = sys.getfilesystemencoding()
        page = (
            f'<!DOCTYPE HTML>\n<html lang="en">\n<head>\n<meta charset="{charset}">\n<title>{title}</title>\n</head>\n'
            f"<body>\n<h1>{title}</h1>\n<hr>\n<ul>\n{chr(10).join(rows)}\n</ul>\n<hr>\n</body>\n</html>\n"
        ).encode(charset, "surrogateescape")
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-type", f"text/html; charset={charset}")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        return io.BytesIO(page)

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Copies the file that `send_head` has opened; the engine sends it where it can."""
        if not (isinstance(outputfile, Output) and outputfile.give_file(source)):
            shutil.copyfileobj(source, outputfile)

    def _may_be_served(self, folder: Path, path: Path) -> bool:
        parts = path.relative_to(folder).parts if path.is_relative_to(folder) else ()
        if not self.serves_hidden and any(part.startswith(".") and part != ".well-known" for part in parts):
            return False
        try:
            return self.follows_links or path.resolve().is_relative_to(Path(self.directory).resolve())
        except (OSError, ValueError, RuntimeError):  # a loop of links, a name that no file can have
            return False


class CGIHTTPRequestHandler(SimpleHTTPRequestHandler):
    """Serves the files below `directory`, and runs the programs of its `cgi_directories`; see `firstbyte.hosts.cgi`.

    The standard library had it until 3.14. What is in those folders is run or refused, and never sent.
    """

    cgi_directories = ["/cgi-bin", "/htbin"]

    def do_POST(self) -> None:
        """Runs a program."""
        if self.is_cgi():
            self.run_cgi()
        else:
            self.send_error(HTTPStatus.NOT_IMPLEMENTED, "Can only POST to CGI scripts")

    def send_head(self) -> Any:
        """Runs a program, or sends the head of a file as its parent does."""
        if self.is_cgi():
            self.run_cgi()
            return None
        return super().send_head()

    def is_cgi(self) -> bool:
        """Whether the path is below one of `cgi_directories`; `cgi_info` is then that and the rest."""
        path = self.request.http.raw_path
        for folder in self.cgi_directories:
            if path.startswith(f"{folder}/"):
                self.cgi_info = folder, path[len(folder) + 1 :]
                return True
        return False

    def run_cgi(self) -> None:
        """Runs the program that `cgi_info` names, and sends what it answers."""
        folder = self.cgi_info[0]
        request = self.request.http
        try:
            programs = _programs(self.directory + folder, self.directory)
            request.move_to_mount(folder)
            response = programs.answer(request)
        except ConfigurationError:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        except HTTPError as error:
            self.send_error(error.status, explain=error.detail)
            return
        try:
            self.log_request(response.status)
            self.send_response_only(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if not isinstance(response.body, bytes):
                for piece in response.body:  # type: ignore[union-attr]  # of a program it is an iterator
                    self.wfile.write(piece)
        finally:
            response.close()

    def translate_path(self, path: str) -> str:
        """See `SimpleHTTPRequestHandler.translate_path`; a program is no file to be served, however it is addressed."""
        found = super().translate_path(path)
        folded = os.path.realpath(found).casefold() + "/"
        folders = (os.path.realpath(self.directory + folder).casefold() for folder in self.cgi_directories)
        return _NOWHERE if any(folded.startswith(f"{folder}/") for folder in folders) else found


@functools.lru_cache(64)
def _programs(folder: str, documents: str) -> CGI:
    """The programs of a folder: one object for all requests, since it counts those that run."""
    return CGI(folder, documents=documents)
