"""What came of a whole head, so that the next request with it is answered without another look at its fields."""

from __future__ import annotations

from time import monotonic

from firstbyte.files.store import OpenFiles, Served, Witness, is_still
from firstbyte.http.request import Request
from firstbyte.http.response import Prepared, Response

LOOK_AGAIN = 1.0  # seconds after which a path is looked up anew: its file's change is seen at once, a better one then

_KNOWN = 1024  # heads whose answer is remembered, of so many bytes at most
_KNOWN_SIZE = 1024


class Answer:
    """What came of a head: it does again until its files change, its body leaves the memory, or LOOK_AGAIN is over.

    `method` and `raw_path` are those of the request, since what is around may have changed them; `files` are those that
    a body that is not in memory is sent from.
    """

    __slots__ = ("_files", "_prepared", "_served", "_until", "_witnesses", "method", "raw_path")

    def __init__(
        self,
        request: Request,
        served: Served,
        witnesses: tuple[Witness, ...],
        prepared: Prepared,
        files: OpenFiles | None,
    ) -> None:
        self.method = request.method
        self.raw_path = request.raw_path
        self._served = served
        self._witnesses = witnesses
        self._prepared = prepared
        self._files = files
        self._until = monotonic() + LOOK_AGAIN

    def response(self) -> Response | None:
        """The response, or None if it does not hold any more."""
        if monotonic() > self._until:
            return None
        for path, signature in self._witnesses:
            if not is_still(path, signature):
                return None
        prepared, served, files = self._prepared, self._served, self._files
        if prepared.status == 304:
            return prepared.response(b"")
        body = served.body if files is None else files.span(served.path, served.signature, 0, served.size)
        if body is None:
            return None  # it is not in memory any more, or another file by now
        served.used = True
        return prepared.response(body)


class Known:
    """Answers by head, a bounded number of them."""

    __slots__ = ("_answers",)

    def __init__(self) -> None:
        self._answers: dict[bytes, Answer] = {}

    def get(self, request: Request) -> Response | None:
        """The response to a request, if it is known and holds."""
        answer = self._answers.get(request.head)
        if answer is None or request._headers is not None:
            return None
        if answer.method != request.method or answer.raw_path != request.raw_path:
            return None
        response = answer.response()
        if response is None:
            self._answers.pop(request.head, None)
        return response

    def put(self, head: bytes, answer: Answer) -> None:
        """Has the next request with this head answered alike."""
        if len(self._answers) >= _KNOWN:
            self._answers.clear()
        self._answers[head] = answer


def head_of(request: Request) -> bytes | None:
    """The head that its answer may be remembered by; None once somebody has looked at the fields: they may not be the
    head's any more."""
    head = request.head
    return head if request._headers is None and 0 < len(head) <= _KNOWN_SIZE else None
