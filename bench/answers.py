"""The right answer before the load: a server that answers fast and wrong is no peer."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.scenarios import Scenario
from bench.servers import HOST

REQUIRED = frozenset({"date", "content-type", "content-length"})
"""Header fields that every answer must have, so that no server saves the work of making one."""


class WrongAnswer(Exception):
    """The server answered something else than the scenario asks for, or not at all; says what in one line."""


@dataclass(frozen=True)
class Answer:
    """One response; names of header fields in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def check(scenario: Scenario, port: int, omits: frozenset[str] = frozenset(), timeout: float = 10.0) -> None:
    """Ask as the load will, pipelined where it will be, and raise `WrongAnswer` unless every answer is right.

    `omits`: required header fields that are known not to come.
    """
    request = request_bytes(scenario, port)
    buffer = b""
    answers: list[Answer] = []
    deadline = time.monotonic() + timeout
    try:
        with socket.create_connection((HOST, port), timeout=timeout) as connection:
            connection.sendall(request * scenario.pipeline)
            while len(answers) < scenario.pipeline:
                while (parsed := parse_answer(buffer)) is not None:
                    answer, buffer = parsed
                    answers.append(answer)
                if len(answers) < scenario.pipeline:
                    connection.settimeout(max(deadline - time.monotonic(), 0.001))
                    data = connection.recv(65536)
                    if not data:
                        raise WrongAnswer(f"closed the connection after {len(answers)} of {scenario.pipeline} answers")
                    buffer += data
    except OSError as problem:
        reason = f"no answer: {problem}"
        if answers:
            reason = f"answered only {len(answers)} of {scenario.pipeline} requests sent at once"
        raise WrongAnswer(reason) from problem
    for answer in answers:
        verify(answer, scenario, omits)


def request_bytes(scenario: Scenario, port: int) -> bytes:
    """The request that wrk will send, byte for byte but for the order of field lines."""
    body = scenario.sends.encode() or b"x" * scenario.upload
    lines = [f"{'POST' if body else 'GET'} {scenario.path} HTTP/1.1", f"Host: {HOST}:{port}"]
    lines += [f"{name}: {value}" for name, value in scenario.headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def parse_answer(buffer: bytes) -> tuple[Answer, bytes] | None:
    """The first whole answer in `buffer`, by its Content-Length, and what follows it; None while there is none."""
    head, blank, rest = buffer.partition(b"\r\n\r\n")
    if not blank:
        return None
    status_line, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    try:
        status = int(status_line.split()[1])
        length = int(headers["content-length"]) if status != 304 else 0
    except KeyError:
        raise WrongAnswer("answered without content-length") from None
    except (IndexError, ValueError):
        raise WrongAnswer(f"no HTTP response: {status_line!r}") from None
    if len(rest) < length:
        return None
    return Answer(status, headers, rest[:length]), rest[length:]


def verify(answer: Answer, scenario: Scenario, omits: frozenset[str]) -> None:
    if answer.status != scenario.status:
        raise WrongAnswer(f"answered with status {answer.status}, body {answer.body[:80]!r}")
    missing = (REQUIRED if answer.status != 304 else {"date"}) - omits - answer.headers.keys()
    if missing:
        raise WrongAnswer(f"answered without {', '.join(sorted(missing))}")
    if answer.status == 304:
        return
    media_type = answer.headers["content-type"].partition(";")[0].strip().lower()
    if media_type != scenario.media_type:
        raise WrongAnswer(f"answered with media type {media_type}, not {scenario.media_type}")
    if not same_body(answer.body, scenario):
        raise WrongAnswer(f"answered with body {answer.body[:80]!r}, not {scenario.body[:80]!r}")


def same_body(body: bytes, scenario: Scenario) -> bool:
    if scenario.media_type != "application/json":
        return body == scenario.body
    try:
        return bool(json.loads(body) == json.loads(scenario.body))
    except ValueError:
        return False


@contextmanager
def idle_connections(port: int, count: int) -> Iterator[None]:
    """Within, `count` further connections are open and send nothing. Raises `WrongAnswer` if the server takes fewer.

    The limit of open files must allow them, here and in the server.
    """
    with ExitStack() as connections:
        for opened in range(count):
            try:
                connections.enter_context(socket.create_connection((HOST, port), timeout=10))
            except OSError as problem:
                raise WrongAnswer(f"took {opened:,} of {count:,} idle connections: {problem}") from problem
        yield
