"""Reads the case documents of tests/wire/cases and runs bytes through a RequestReader as a connection would."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from firstbyte.errors import ProtocolError
from firstbyte.http.request import Request
from firstbyte.wire.head import HeadScanner
from firstbyte.wire.limits import Limits
from firstbyte.wire.reader import RequestReader

FOLDER = Path(__file__).parent / "cases"
LIMITS = Limits(request_line=200, head=1000, fields=10, body=1000, chunk_extensions=100)
_CASE = re.compile(r"^## (.+?)\n(.*?)^```http\n(.*?)^```\n\n*^```\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass
class Case:
    name: str
    data: bytes
    expected: str
    prose: str = ""

    @property
    def refused(self) -> bool:
        return re.match(r"\d{3} [\w.-]+ \d+$", self.expected) is not None


@dataclass
class Message:
    request: Request
    keep_alive: bool
    body: bytes = b""

    def __str__(self) -> str:
        request = self.request
        ending = "keep-alive" if self.keep_alive else "close"
        return f"{request.method} {request.target} HTTP/{request.http_version} {ending}"


@dataclass
class Outcome:
    messages: list[Message] = field(default_factory=list)
    error: ProtocolError | None = None
    complete: bool = True


def cases(folder: Path = FOLDER) -> Iterator[Case]:
    for page in sorted(folder.glob("*.md")):
        for name, prose, data, expected in _CASE.findall(page.read_text() if page.name != "README.md" else ""):
            yield Case(f"{page.stem}: {name}", unescape(data), expected.rstrip("\n"), prose)


def unescape(block: str) -> bytes:
    data = b""
    for line in block.split("\n")[:-1]:
        line = re.sub(r"\{(.+?)\*(\d+)\}", lambda match: match[1] * int(match[2]), line)
        ends = not re.search(r"(?<!\\)(\\\\)*\\$", line)
        text = line if ends else line[:-1]
        data += text.encode("latin-1").decode("unicode_escape").encode("latin-1") + (b"\r\n" if ends else b"")
    return data


def run(pieces: Iterable[bytes], limits: Limits = LIMITS) -> Outcome:
    """What comes of the pieces: reads requests and bodies as they arrive, until one is refused."""
    reader = RequestReader(HeadScanner(limits))
    outcome = Outcome()
    for piece in pieces:
        reader.feed(piece)
        try:
            while True:
                if reader.in_body:
                    outcome.messages[-1].body += reader.read_body()
                    if reader.in_body:
                        break
                    outcome.messages[-1].request.trailers = reader.trailers
                request = reader.read_head()
                if request is None:
                    break
                outcome.messages.append(Message(request, reader.keep_alive))
                if reader.in_body:
                    reader.limit_body(limits.body)
        except ProtocolError as error:
            outcome.error = error
            return outcome
    outcome.complete = not reader.pending and not reader.in_body
    return outcome


def tell(outcome: Outcome, like: str) -> str:
    """The outcome in the words of a case's second block; of fields and bodies only what `like` speaks of."""
    if outcome.error is not None:
        return f"{outcome.error.status} {outcome.error.rule} {outcome.error.offset}"
    told = []
    blocks = like.split("\n\n")
    for index, message in enumerate(outcome.messages):
        lines = [str(message)]
        wanted = blocks[index].split("\n")[1:] if index < len(blocks) else []
        if message.body and not any(line.startswith("  body:") for line in wanted):
            wanted = ["  body:", *wanted]
        for line in wanted:
            name = line.strip().split(":")[0]
            if name == "body":
                lines.append(f"  body: {message.body.decode('latin-1').encode('unicode_escape').decode()}")
            elif name.startswith("trailer "):
                trailers = message.request.trailers
                value = trailers.get(name[8:]) if trailers else None
                lines.append(f"  {name}: {value}")
            else:
                values = message.request.headers.get_all(name)
                lines.append(f"  {name}: {' | '.join(values).encode('unicode_escape').decode()}".rstrip(" "))
        told.append("\n".join(lines))
    if not outcome.complete:
        told.append("incomplete")
    return "\n\n".join(told)
