"""Feeds what atheris invents to the readers of requests, or of frames, plain and compiled, and wants the same of both.

    python -m fuzz [SECONDS] [requests | websocket]

The plain modules are instrumented: their branches guide the search. Each input is read whole and cut in two where its
first bytes say (frames byte by byte as well), by both bodies of the reader; any difference, any exception but
ProtocolError and any crash is a finding, and the input is left in build/fuzz/.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import atheris

from fuzz import websocket

ROOT = Path(__file__).parent.parent
FOUND = ROOT / "build" / "fuzz"
CASES = ROOT / "tests" / "wire" / "cases"


def load(pure: bool) -> tuple[Any, Any]:
    """The module that runs the cases of the tests, and the protocol of frames, over the plain or the compiled body of
    the package."""
    for name in [name for name in sys.modules if name.startswith("firstbyte") or name == "documents"]:
        del sys.modules[name]
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__name__", "") != "_PlainFinder"]
    os.environ["FIRSTBYTE_PURE"] = "1" if pure else "0"
    if pure:
        # The finder of plain modules goes in before the one that instruments, which then wraps what it finds.
        spec = importlib.util.spec_from_file_location(
            "firstbyte._compiled", ROOT / "src" / "firstbyte" / "_compiled.py"
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[spec.name])
        with atheris.instrument_imports(include=["firstbyte.wire", "firstbyte.http"]):
            import documents

            frames = websocket.load()
    else:
        import documents

        frames = websocket.load()
    import firstbyte

    assert firstbyte.compiled is not pure, "the compiled modules are not built: make compiled"
    documents.ProtocolError = firstbyte.errors.ProtocolError
    return documents, frames


def told(documents: ModuleType, pieces: list[bytes]) -> tuple[Any, ...]:
    """All that a reader makes of the pieces."""
    outcome = documents.run(pieces)
    error = outcome.error
    if error is not None and outcome.messages:
        outcome.messages[-1].body = b""  # how much of a bad body comes before its error may depend on the cut
    return (
        [
            (
                str(message), message.request.headers.items(), message.body,
                message.request.trailers.items() if message.request.trailers else None,
            )
            for message in outcome.messages
        ],
        error and (error.status, error.rule, error.offset, str(error)),
        error is not None or outcome.complete,
    )  # fmt: skip


def main(seconds: int, target: str) -> None:
    sys.path.insert(0, str(ROOT / "tests" / "wire"))
    (plain, plain_frames), (compiled, compiled_frames) = load(pure=True), load(pure=False)

    def check_requests(data: bytes) -> None:
        if len(data) < 2:
            return
        cut, data = data[0] % len(data), data[1:]
        halves = [piece for piece in (data[:cut], data[cut:]) if piece]
        outcomes = [told(leg, pieces) for leg in (plain, compiled) for pieces in ([data], halves)]
        assert all(outcome == outcomes[0] for outcome in outcomes), "\n".join(map(str, outcomes))

    def check_frames(data: bytes) -> None:
        websocket.check((plain_frames, compiled_frames), data)

    if target == "websocket":
        check, seeds = check_frames, websocket.seeds(plain_frames)
    else:
        check = check_requests
        seeds = [bytes([len(case.data) // 2 % 256]) + case.data for case in plain.cases(CASES)]
    corpus = FOUND / f"corpus-{target}"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"case-{number}").write_bytes(seed)
    words = FOUND / "words"
    words.write_text("".join(f'"{word}"\n' for word in WORDS))
    atheris.Setup(
        [sys.argv[0], f"-max_total_time={seconds}", f"-artifact_prefix={FOUND}/", "-max_len=2000",
         "-print_final_stats=1", *([f"-dict={words}"] if target == "requests" else []), str(corpus)],
        check,
    )  # fmt: skip
    atheris.Fuzz()


WORDS = (
    "GET ", "POST ", "OPTIONS * ", " HTTP/1.1\\x0d\\x0a", " HTTP/1.0\\x0d\\x0a", "Host: x\\x0d\\x0a", "http://x/",
    "\\x0d\\x0a\\x0d\\x0a", "Content-Length: ", "Transfer-Encoding: chunked\\x0d\\x0a", "Connection: close\\x0d\\x0a",
    "Expect: 100-continue", "0\\x0d\\x0a\\x0d\\x0a", "5;a=b\\x0d\\x0ahello\\x0d\\x0a", "\\x0a", "\\x0d", "\\x00", " :",
)  # fmt: skip

if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60, sys.argv[2] if len(sys.argv) > 2 else "requests")
