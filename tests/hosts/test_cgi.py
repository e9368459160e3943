"""CGI programs, run for real: shell scripts, and Python."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import threading
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

from engine.support import WAIT, Client, Serve
from firstbyte import App
from firstbyte.batteries.basic_auth import basic_auth
from firstbyte.errors import ConfigurationError
from firstbyte.hosts.cgi import CGI, Gate

Write = Callable[..., Path]
HELLO = "echo 'Content-Type: text/plain'\necho\n"


@pytest.fixture
def driver(each_driver: str) -> str:
    return each_driver


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "cgi-bin"
    folder.mkdir()
    return folder


@pytest.fixture
def write(folder: Path) -> Write:
    """Writes a program: `write("name", text)`, for sh or, if the name ends so, for Python."""

    def put(name: str, text: str, mode: int = 0o755) -> Path:
        interpreter = f"{sys.executable} -I" if name.endswith(".py") else "/bin/sh"
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!{interpreter}\n{textwrap.dedent(text)}")
        path.chmod(mode)
        return path

    return put


def mounted(folder: Path, **options: object) -> App:
    app = App()
    app.mount("/cgi-bin", CGI(folder, **options))  # type: ignore[arg-type]
    return app


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def wait_until(condition: Callable[[], object]) -> None:
    until = monotonic() + WAIT
    while not condition():
        assert monotonic() < until, "it did not come to be"
        sleep(0.01)


# -- what a program is told


def test_a_program_gets_the_variables_of_the_standard_and_no_others(
    serve: Serve, folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "of the server")
    write(
        "sub/env.py",
        """\
        import os
        print("Content-Type: text/plain\\n")
        for each in os.environ.items():
            print(*each, sep="=")
        """,
    )
    running = serve(mounted(folder, environment={"STAGE": "test"}))
    client = running.client().get(
        "/cgi-bin/sub/env.py/more%20path/x?a=b&c",
        "X-Own: 1\r\nX-Own: 2\r\nX_Own: 3\r\nProxy: evil\r\nAuthorization: Basic x\r\nCookie: a=b\r\nCookie: c=d\r\n",
    )
    status, fields, body = client.read()
    assert (status, fields["content-type"]) == (200, "text/plain")
    told = dict(line.split("=", 1) for line in body.decode().splitlines())
    for name in ("LC_CTYPE", "__CF_USER_TEXT_ENCODING"):  # Python's own doing, and macOS's
        told.pop(name, None)
    assert told.pop("PATH") == os.environ["PATH"]
    assert int(told.pop("REMOTE_PORT")) > 0
    assert told == {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "HTTP_COOKIE": "a=b; c=d",
        "HTTP_HOST": "x",
        "HTTP_X_OWN": "1,2",
        "PATH_INFO": "/more path/x",
        "QUERY_STRING": "a=b&c",
        "RAW_URI": "/cgi-bin/sub/env.py/more%20path/x?a=b&c",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_HOST": "127.0.0.1",
        "REQUEST_METHOD": "GET",
        "REQUEST_SCHEME": "http",
        "REQUEST_URI": "/cgi-bin/sub/env.py/more%20path/x?a=b&c",
        "SCRIPT_FILENAME": str(folder / "sub" / "env.py"),
        "SCRIPT_NAME": "/cgi-bin/sub/env.py",
        "SERVER_NAME": "x",
        "SERVER_PORT": str(running.server.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "firstbyte",
        "STAGE": "test",
    }


@pytest.mark.parametrize(
    ("rest", "translated"),
    [
        ("/a/b%20c", "/a/b c"),
        ("/", "/"),
        ("//x/./y//z", "/x/y/z"),
        ("/..%2f../%2e%2e/etc/passwd", "/etc/passwd"),
        ("", None),
    ],
)  # fmt: skip
def test_the_rest_of_the_path_is_a_file_below_the_documents(
    serve: Serve, folder: Path, write: Write, rest: str, translated: str | None
) -> None:
    write("it", HELLO + 'echo "${PATH_TRANSLATED-none}"')
    body = serve(mounted(folder, documents=folder.parent)).client().get(f"/cgi-bin/it{rest}").read()[2].decode()
    assert body == ("none\n" if translated is None else f"{folder.parent}{translated}\n")
    assert serve(mounted(folder)).client().get(f"/cgi-bin/it{rest}").read()[2] == b"none\n"


def test_a_program_is_told_whose_password_was_right(serve: Serve, folder: Path, write: Write) -> None:
    write("it", HELLO + 'echo "$AUTH_TYPE $REMOTE_USER"')
    write("moved", "echo 'Location: /cgi-bin/it'\necho")
    app = mounted(folder)
    app.middleware(basic_auth({"jörg": "secret"}))
    running = serve(app)
    assert running.client().get("/cgi-bin/it").read()[0] == 401
    client = running.client()
    password = b64encode("jörg:secret".encode()).decode()
    for path in ("/cgi-bin/it", "/cgi-bin/moved"):
        client.get(path, f"Authorization: Basic {password}\r\n")
        assert client.read()[2].decode() == "Basic jörg\n"
    assert serve(mounted(folder)).client().get("/cgi-bin/it").read()[2] == b" \n"


def test_a_program_has_no_arguments_no_shell_and_its_own_folder(serve: Serve, folder: Path, write: Write) -> None:
    write("a;b $(c)", HELLO + 'echo "$#"; pwd')
    client = serve(mounted(folder)).client().get("/cgi-bin/a%3Bb%20$(c)?-s")
    assert client.read()[2].decode() == f"0\n{folder}\n"


@pytest.mark.parametrize("size", [0, 10, 100_000, 1_000_000])
def test_the_body_is_the_standard_input_chunked_or_not(serve: Serve, folder: Path, write: Write, size: int) -> None:
    write("count", HELLO + 'echo "$CONTENT_LENGTH" $(wc -c)')
    client = serve(mounted(folder)).client()
    client.send(f"POST /cgi-bin/count HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size)
    assert client.read()[2].split() == [str(size).encode()] * 2
    client.send(b"POST /cgi-bin/count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"5\r\nhello\r\n0\r\n\r\n")
    assert client.read()[2] == b"5 5\n"


def test_a_form_in_python(serve: Serve, folder: Path, write: Write) -> None:
    write(
        "form.py",
        """\
        import os, sys
        from urllib.parse import parse_qs
        fields = parse_qs(sys.stdin.read(int(os.environ["CONTENT_LENGTH"])))
        print("Content-Type: text/html; charset=utf-8")
        print("Set-Cookie: a=1")
        print("Set-Cookie: b=2")
        print()
        print(f"<p>hello {fields['name'][0]}")
        """,
    )
    client = serve(mounted(folder)).client()
    body = b"name=J%C3%B6rg"
    client.send(b"POST /cgi-bin/form.py HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    assert client.read()[2].decode() == "<p>hello Jörg\n"


# -- what a program may answer


@pytest.mark.parametrize(
    ("text", "status", "fields", "body"),
    [
        ("echo 'Status: 404 Gone Fishing'; echo; echo none", 404, {}, b"none\n"),
        ("printf 'Content-Type: text/plain\\r\\nX-A: b\\r\\n\\r\\nlines of DOS'", 200, {"x-a": "b"}, b"lines of DOS"),
        ("echo 'Location: https://example.org/x'; echo", 302, {"location": "https://example.org/x"}, b""),
        ("echo 'Location: /elsewhere'; echo", 302, {"location": "/elsewhere"}, b""),
        ("echo 'Status: 301'; echo 'Location: /cgi-bin/other'; echo", 301, {"location": "/cgi-bin/other"}, b""),
        ("echo 'Location: b'; echo 'Content-Type: a/b'; echo; echo moved", 302, {"location": "b"}, b"moved\n"),
        ("echo 'Location: /cgi-bin/other?q=1'; echo", 200, {}, b"other /cgi-bin/other GET q=1\n"),
        ("echo 'Status: 204'; echo", 204, {}, b""),
        ("echo 'Content-Type: a/b'; echo 'Content-Length: 2'; echo; printf ok", 200, {"content-length": "2"}, b"ok"),
        ("echo 'Status: 200'; echo 'Connection: upgrade'; echo 'Upgrade: x'; echo", 200, {}, b""),
        (HELLO + "exit 3", 200, {}, b""),
    ],
)  # fmt: skip
def test_what_a_program_may_answer(
    serve: Serve, folder: Path, write: Write, text: str, status: int, fields: dict[str, str], body: bytes
) -> None:
    write("it", text)
    write("other", HELLO + 'echo other "$SCRIPT_NAME" "$REQUEST_METHOD" "$QUERY_STRING"')
    client = serve(mounted(folder)).client()
    for _ in range(2):
        found, got, data = client.get("/cgi-bin/it").read()
        assert (found, data) == (status, body)
        assert got.items() >= fields.items()
        assert "upgrade" not in got


def test_a_program_that_writes_the_whole_head(serve: Serve, folder: Path, write: Write) -> None:
    write(
        "nph-it",
        "printf 'HTTP/1.0 418 Teapot\\r\\nServer: mine\\r\\nContent-Type: text/plain\\r\\n\\r\\nshort and stout'",
    )
    write("nph-bad", HELLO)
    client = serve(mounted(folder)).client()
    status, fields, body = client.get("/cgi-bin/nph-it").read()
    assert (status, fields["server"], body) == (418, "mine", b"short and stout")
    assert client.get("/cgi-bin/nph-bad").read()[0] == 502


def test_the_answer_is_sent_as_it_is_written(serve: Serve, folder: Path, write: Write, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    write("slow", HELLO + f"echo one\nread x < {tmp_path / 'go'}\necho two")
    client = serve(mounted(folder)).client().get("/cgi-bin/slow")
    while b"one\n" not in client.buffer:
        assert client.more()
    (tmp_path / "go").write_text("go\n")
    assert client.read()[2] == b"one\ntwo\n"


def test_head_gets_no_body(serve: Serve, folder: Path, write: Write) -> None:
    write("it", HELLO + 'echo "$REQUEST_METHOD"')
    client = serve(mounted(folder)).client()
    for _ in range(2):
        client.send(b"HEAD /cgi-bin/it HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read(head_only=True)[0] == 200
    assert client.get("/cgi-bin/it").read()[2] == b"GET\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("true", "it ends within its head, after 0 bytes"),
        ("echo 'no head at all'; exit 1", "ends within its head"),
        ("echo 'no colon'; echo", "is no header field"),
        ("echo 'Bad Name: x'; echo", "is not a token"),
        ("echo 'X-Only: x'; echo", "none of Content-Type, Location and Status"),
        ("echo; echo body", "it begins with an empty line"),
        ("echo 'Status: 999'; echo", "is no status"),
        ("echo 'Status: 100'; echo", "is no status"),
        ("echo 'Transfer-Encoding: chunked'; echo 'Status: 200'; echo", "framing"),
        ("yes 'X-Long: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'", "its head is longer than"),
        ("for i in $(seq 101); do echo 'X: y'; done; echo", "its head has 101 lines"),
        ("echo 'Location: /cgi-bin/it'; echo", None),
    ],
)
def test_nonsense_is_a_502_and_said_in_the_log(
    serve: Serve, folder: Path, write: Write, caplog: pytest.LogCaptureFixture, text: str, said: str | None
) -> None:
    write("it", text)
    client = serve(mounted(folder)).client()
    assert client.get("/cgi-bin/it").read()[0] == 502
    assert said is None or said in caplog.text


# -- what is run, and what is not


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/cgi-bin/it", 200),
        ("/cgi-bin/sub/deep", 200),
        ("/cgi-bin/link", 200),
        ("/cgi-bin/", 404),
        ("/cgi-bin/sub", 404),
        ("/cgi-bin/sub/", 404),
        ("/cgi-bin/none", 404),
        ("/cgi-bin/source", 403),
        ("/cgi-bin/source/x", 403),
        ("/cgi-bin/.hidden", 404),
        ("/cgi-bin/out", 404),
        ("/cgi-bin/loop", 404),
        ("/cgi-bin/../outside", 404),
        ("/cgi-bin/%2e%2e/outside", 404),
        ("/cgi-bin/..%2foutside", 404),
        ("/cgi-bin/sub%2fdeep", 404),
        ("/cgi-bin//it", 404),
        ("/cgi-bin/it%00", 400),
        ("/cgi-bin/it/%00", 400),
        ("/cgi-bin/" + "x" * 300, 404),
    ],
)
def test_what_is_run_and_what_is_not(serve: Serve, folder: Path, write: Write, path: str, status: int) -> None:
    write("it", HELLO + "echo ran")
    write("sub/deep", HELLO + "echo ran")
    write("source", HELLO + "echo ran", 0o644)
    write(".hidden", HELLO + "echo ran")
    outside = write("../outside", HELLO + "echo ran")
    (folder / "out").symlink_to(outside)
    (folder / "link").symlink_to(folder / "it")
    (folder / "loop").symlink_to(folder / "loop")
    found, _, body = serve(mounted(folder)).client().get(path).read()
    assert found == status
    assert (b"ran" in body) == (status == 200)
    assert b"#!" not in body


def test_what_is_none_is_told_before_the_body_is_read(serve: Serve, folder: Path) -> None:
    client = serve(mounted(folder)).client()
    client.send(b"POST /cgi-bin/none HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
    assert client.read()[0] == 404


def test_a_program_that_cannot_be_run_is_a_500(
    serve: Serve, folder: Path, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "it").write_text("no interpreter")
    (folder / "it").chmod(0o755)
    assert serve(mounted(folder)).client().get("/cgi-bin/it").read()[0] == 500
    assert "does it begin with #!" in caplog.text


def test_a_body_may_be_too_long(serve: Serve, folder: Path, write: Write) -> None:
    write("it", HELLO)
    client = serve(mounted(folder, max_body=5)).client()
    client.send(b"POST /cgi-bin/it HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n123456")
    assert client.read()[0] == 413


def test_what_cannot_work_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no folder"):
        CGI(tmp_path / "none")
    with pytest.raises(ValueError, match="no program run"):
        CGI(tmp_path, processes=0)


# -- how it ends


def test_the_standard_error_and_the_end_are_in_the_log(
    serve: Serve, folder: Path, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write("it", "echo first >&2\nprintf '\\377 second' >&2\n" + HELLO + "exit 3")
    assert serve(mounted(folder)).client().get("/cgi-bin/it").read()[0] == 200
    assert [record.getMessage() for record in caplog.records] == [
        "it: first", "it: \\xff second", "it ended with status 3",
    ]  # fmt: skip


def test_a_standard_error_without_end_is_not_logged_without_end_and_keeps_nobody(
    serve: Serve, folder: Path, write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write("some", f"yes x | head -n 3000 >&2\n{HELLO}echo all")
    assert serve(mounted(folder)).client().get("/cgi-bin/some").read()[2] == b"all\n"
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["some: x"] * 1000 + ["some: the rest of its standard error is not logged"]
    write("endless", f"echo $$ > {tmp_path / 'new'}; mv {tmp_path / 'new'} {tmp_path / 'pid'}\nexec yes x >&2")
    client = serve(mounted(folder)).client().get("/cgi-bin/endless")
    wait_until((tmp_path / "pid").exists)
    client.close()
    wait_until(lambda: is_gone(int((tmp_path / "pid").read_text())))


def test_a_program_that_is_silent_for_too_long_is_ended_with_its_group(
    serve: Serve, folder: Path, write: Write, tmp_path: Path
) -> None:
    write("it", f"sleep 1000 & echo $! $$ > {tmp_path / 'pids'}\nwait")
    assert serve(mounted(folder, timeout=0.3)).client().get("/cgi-bin/it").read()[0] == 504
    for pid in (tmp_path / "pids").read_text().split():
        wait_until(lambda pid=pid: is_gone(int(pid)))


def test_a_program_whose_time_is_over_within_its_answer_breaks_it_off(
    serve: Serve, folder: Path, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write("it", HELLO + "echo half\nsleep 1000")
    rest = serve(mounted(folder, timeout=0.3)).client().get("/cgi-bin/it").rest()
    assert b"half\n" in rest
    assert not rest.endswith(b"0\r\n\r\n")
    assert "its time was over" in caplog.text


@pytest.mark.skipif(sys.platform == "darwin", reason="nothing tells there that it has ended")
@pytest.mark.parametrize("new_group", ["", "setsid "])
def test_what_holds_the_output_of_a_program_that_has_ended_holds_no_client(
    serve: Serve, folder: Path, write: Write, tmp_path: Path, new_group: str
) -> None:
    write("it", f"{HELLO}echo all\n{new_group}sleep 1000 & echo $! > {tmp_path / 'pid'}")
    try:
        assert serve(mounted(folder)).client().get("/cgi-bin/it").read()[2] == b"all\n"
        if not new_group:
            wait_until(lambda: is_gone(int((tmp_path / "pid").read_text())))
    finally:
        with suppress(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("head", ["", HELLO + "echo half\n"])
def test_a_client_that_leaves_ends_its_program(
    serve: Serve, folder: Path, write: Write, tmp_path: Path, head: str
) -> None:
    write("it", f"{head}echo $$ > {tmp_path / 'new'}; mv {tmp_path / 'new'} {tmp_path / 'pid'}\nsleep 1000")
    client = serve(mounted(folder, processes=1)).client().get("/cgi-bin/it")
    wait_until((tmp_path / "pid").exists)
    client.close()
    wait_until(lambda: is_gone(int((tmp_path / "pid").read_text())))


def test_a_client_that_does_not_read_leaves_no_program_behind(
    serve: Serve, folder: Path, write: Write, tmp_path: Path
) -> None:
    write("it", f"echo $$ > {tmp_path / 'new'}; mv {tmp_path / 'new'} {tmp_path / 'pid'}\n{HELLO}exec cat /dev/zero")
    serve(mounted(folder), write=0.3).client().get("/cgi-bin/it")
    wait_until((tmp_path / "pid").exists)
    wait_until(lambda: is_gone(int((tmp_path / "pid").read_text())))


def test_programs_wait_for_each_other_and_not_without_bound(
    serve: Serve, folder: Path, write: Write, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "go")
    write("slow", f"read x < {tmp_path / 'go'}\n{HELLO}echo slow")
    write("it", HELLO + "echo it")
    app = App()
    programs = CGI(folder, processes=1, queue=1)
    app.mount("/cgi-bin", programs)
    running = serve(app)
    slow = running.client().get("/cgi-bin/slow")
    wait_until(lambda: programs.gate.running == 1)
    queued = running.client().get("/cgi-bin/it")
    wait_until(lambda: programs.gate.waiting == 1)
    status, fields, _ = running.client().get("/cgi-bin/it").read()
    assert (status, fields["retry-after"]) == (503, "5")
    (tmp_path / "go").write_text("go\n")
    assert slow.read()[2] == b"slow\n"
    assert queued.read()[2] == b"it\n"
    wait_until(lambda: programs.gate.running == 0)


def test_a_place_that_does_not_come_free_is_given_up() -> None:
    gate = Gate(1, 1)
    assert gate.enter(WAIT)
    assert not gate.enter(0.01)
    assert (gate.running, gate.waiting) == (1, 0)
    waiting = threading.Thread(target=gate.enter, args=(WAIT,))
    waiting.start()
    wait_until(lambda: gate.waiting)
    gate.leave()
    waiting.join(WAIT)
    assert (gate.running, gate.waiting) == (1, 0)
    gate.leave()
    assert gate.running == 0


def test_without_an_app_around_it_works_the_same(serve: Serve, folder: Path, write: Write) -> None:
    write("it", HELLO + 'echo "[$SCRIPT_NAME]"')
    assert serve(CGI(folder)).client().get("/it").read()[2] == b"[/it]\n"


def test_a_slow_reader_gets_all_of_it(serve: Serve, folder: Path, write: Write) -> None:
    write("it", HELLO + "head -c 5000000 /dev/zero")
    client: Client = serve(mounted(folder)).client().get("/cgi-bin/it")
    assert len(client.read()[2]) == 5_000_000
