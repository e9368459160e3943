"""The lines of the access log, in each of its formats."""

from __future__ import annotations

import base64
import json
import os
import re
import string
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.support import Client
from firstbyte import App, Endpoint, Limits, Request, Response, Server
from firstbyte.cli.access_log import FORMATS, AccessLog, compile_format, escape
from firstbyte.cli.log_file import LogFile
from firstbyte.engine.observer import Entry
from firstbyte.errors import ConfigurationError
from firstbyte.http.request import Address

FIELDS = {
    "User-Agent": 'curl/8 "x"',
    "Referer": "http://a/b\u00e9",
    "Authorization": "Basic " + base64.b64encode(b"me:secret").decode(),
    "X-Seen": "yes",
}


def entry(
    target: str = "/a/b?c=d", fields: dict[str, str] | None = None, response: Response | None = None, size: int = 105
) -> Entry:
    request = Request.build("GET", target, FIELDS if fields is None else fields, client=Address("192.0.2.1", 5000))
    made = Entry(request)
    made.endpoint = Endpoint(lambda request: Response(), name="page")
    made.response = Response("hello", headers={"X-Cache": "HIT"}) if response is None else response
    made.size = size
    made.body_size = max(0, size - 100)
    made.received = 300
    return made


def line(format: str, made: Entry | None = None, status: int = 200, seconds: float = 1.25) -> str:
    text = compile_format(format)(made or entry(), status, seconds).decode()
    assert text.endswith("\n")
    assert "\n" not in text[:-1]
    return text[:-1]


@pytest.mark.parametrize(
    ("atom", "value"),
    [
        ("h", "192.0.2.1"),
        ("l", "-"),
        ("u", "me"),
        ("r", "GET /a/b?c=d HTTP/1.1"),
        ("m", "GET"),
        ("U", "/a/b"),
        ("q", "c=d"),
        ("H", "HTTP/1.1"),
        ("s", "200"),
        ("B", "5"),
        ("b", "5"),
        ("f", "http://a/b\\xE9"),
        ("a", "curl/8 \\x22x\\x22"),
        ("T", "1"),
        ("D", "1250000"),
        ("M", "1250"),
        ("L", "1.250000"),
        pytest.param("p", f"<{os.getpid()}>", id="process"),
        ("{x-seen}i", "yes"),
        ("{X-Seen}i", "yes"),
        ("{x-none}i", "-"),
        ("{x-cache}o", "HIT"),
        ("{x-none}o", "-"),
        ("{Content-Type}o", "text/plain; charset=utf-8"),
        ("{REMOTE_PORT}e", "5000"),
        ("{PATH_INFO}e", "/a/b"),
        ("{wsgi.url_scheme}e", "http"),
        ("{HTTP_X_SEEN}e", "yes"),
        ("{FIRSTBYTE_TEST_VALUE}e", "of the environment"),
        ("{FIRSTBYTE_TEST_NONE}e", "-"),
    ],
)
def test_an_atom(atom: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTBYTE_TEST_VALUE", "of the environment")
    assert line(f"%({atom})s") == value


def test_the_time_is_local_and_has_its_zone() -> None:
    text = line("%(t)s")
    parsed = time.mktime(time.strptime(text, "[%d/%b/%Y:%H:%M:%S %z]"))
    assert re.fullmatch(r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]", text)
    assert abs(parsed - time.time()) < 60


def test_common_and_combined() -> None:
    common = r'192\.0\.2\.1 - me \[[^]]+\] "GET /a/b\?c=d HTTP/1\.1" 200 5'
    assert re.fullmatch(common, line("common"))
    assert re.fullmatch(common + r' "http://a/b\\xE9" "curl/8 \\x22x\\x22"', line("combined"))


def test_what_is_missing_is_a_dash() -> None:
    made = entry(fields={}, size=100)
    made.request.client = None
    made.response = None
    assert line("%(h)s %(u)s %(b)s %(B)s %(f)s %(a)s %({x}o)s", made) == "- - - 0 - - -"


@pytest.mark.parametrize("credentials", ["Basic", "Basic !", "Basic " + base64.b64encode(b":x").decode(), "Bearer a"])
def test_credentials_without_a_name(credentials: str) -> None:
    assert line("%(u)s", entry(fields={"Authorization": credentials})) == "-"


def test_a_name_makes_no_second_field() -> None:
    credentials = "Basic " + base64.b64encode(b'me - [now] "x').decode()
    assert line("%(u)s", entry(fields={"Authorization": credentials})) == "me\\x20-\\x20[now]\\x20\\x22x"


def test_fields_are_found_in_a_head_that_nobody_has_taken_apart() -> None:
    fields = b"Host: x\r\nuser-AGENT: \t me \xe9 \r\nX-User-Agent: not me\r\nUser-Agent: second\r\n\r\n"
    head = b"GET / HTTP/1.1\r\n" + fields
    request = Request("GET", "/", "", 1, head, len(head) - len(fields))
    assert line("%(a)s|%({x-user-agent}i)s|%({none}i)s", Entry(request)) == "me \\xE9|not me|-"
    assert request._headers is None
    assert request.headers["User-Agent"] == "me \xe9"
    assert line("%(a)s", Entry(request)) == "me \\xE9"


def test_text_around_atoms_and_percent_signs() -> None:
    assert line("100%% %(s)s%% ü %%(s)s") == "100% 200% ü %(s)s"


def test_text() -> None:
    made = entry('/a"b')
    assert line("text", made) == "192.0.2.1:5000 GET /a\\x22b 200 105 1250.0 ms"
    made.was_cut = True
    assert line("text", made).endswith(" 1250.0 ms, cut off")
    assert "\x1b[32m200\x1b[0m" in compile_format("text", colour=True)(made, 200, 1).decode()


def test_json() -> None:
    made = entry('/a"b\u00e9')
    made.waited = 0.5
    record = json.loads(line("json", made))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("time"))
    assert record == {
        "client": "192.0.2.1",
        "method": "GET",
        "target": '/a"b\u00e9',
        "status": 200,
        "bytes": 105,
        "ms": 1250.0,
        "version": "1.1",
        "body_bytes": 5,
        "bytes_in": 300,
        "waited_ms": 500.0,
        "endpoint": "page",
        "user_agent": 'curl/8 "x"',
        "referer": "http://a/b\u00e9",
    }


@pytest.mark.parametrize(
    ("format", "message"),
    [
        ("combind", "'combind' is no access log format: did you mean combined?"),
        ("jsn", "did you mean json?"),
        ("%(x)s", "%(x)s is no atom of an access log format: did you mean %("),
        ("%(status)s", "did you mean %(s)s, the status?"),
        ("%(remote_addr)s", "did you mean %(h)s, the remote host address?"),
        ("%(user_agent)s", "did you mean %(a)s, the user agent?"),
        ("%(querystring)s", "did you mean %(q)s, the query string?"),
        ("%({user-agent})s", "did you mean %({user-agent}i)s, a field of the request"),
        ("%({user-agent}x)s", "did you mean %({user-agent}i)s"),
        ("%(h)s %s", "a % at character 7 that begins no atom"),
        ("%(h)d", "a % at character 1"),
        ("100%", "a % at character 4"),
        ("%(h)s\n%(s)s", "a control character"),
    ],
)
def test_a_format_that_is_none_names_the_nearest(format: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        compile_format(format)


VISIBLE = set(string.printable) - set(string.whitespace) - {'"', "\\"} | {" "}


@given(st.text(st.characters(max_codepoint=255)), st.text(st.characters(max_codepoint=255)))
def test_no_client_ends_a_line_or_a_quoted_field(one: str, two: str) -> None:
    request = Request("GET", "/" + one, two, 1)
    request.client = Address("192.0.2.1", 5000)
    request.headers._fields = [(name.lower(), name, one) for name in ("Referer", "User-Agent", "X")]
    name = base64.b64encode(two.encode("latin-1")).decode()
    request.headers._fields.append(("authorization", "Authorization", f"Basic {name}"))
    made = Entry(request)
    for format in ("combined", '"%(U)s" "%(q)s" "%({x}i)s" "%({PATH_INFO}e)s" "%(m)s" "%({HTTP_X}e)s"'):
        text = line(format, made)
        assert text.isascii()
        assert text.isprintable()
        assert text.count('"') == (6 if format == "combined" else 12)
    assert json.loads(line("json", made)).get("referer", "") == one
    assert line("text", made).isprintable()


@given(st.text())
def test_escaping_is_plain_and_can_be_undone(text: str) -> None:
    escaped = escape(text)
    assert set(escaped) <= VISIBLE | {"\\"}
    if all(ord(char) < 256 for char in text):
        assert re.sub(r"\\x([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), escaped) == text


# -- from a server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def lines_of(path: Path, format: str, *requests: bytes) -> list[str]:
    """The log of a server after each of the requests has had its answer, on a connection of its own."""
    app = App()
    app.add_route("/", lambda: "hello", ["GET", "POST"])
    log = LogFile(str(path))
    with Server(app, port=0, limits=Limits(body=3), observers=[AccessLog(log, format)]) as server:
        for request in requests:
            client = Client(server.port).send(request)
            client.rest()
            client.close()
    log.close()
    return path.read_text().splitlines()


GOOD = b"GET /?a=b HTTP/1.1\r\nHost: x\r\nUser-Agent: me\r\nConnection: close\r\n\r\n"
BAD = b"GET / HTTP/1.1\nHost: x\r\n\r\n"
LONG = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd"


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_serves(path: Path, format: str) -> None:
    (text,) = lines_of(path, format, GOOD)
    assert "GET" in text
    assert "200" in text


def test_refused_requests_have_their_lines(path: Path) -> None:
    format = '%(h)s "%(r)s" %(s)s %(b)s "%(a)s"'
    assert lines_of(path, format, GOOD, BAD, LONG) == [
        '127.0.0.1 "GET /?a=b HTTP/1.1" 200 5 "me"',
        '127.0.0.1 "-" 400 - "-"',
        '127.0.0.1 "POST / HTTP/1.1" 413 - "-"',
    ]


def test_an_answer_that_is_none_has_the_status_of_a_client_that_left(path: Path) -> None:
    log = LogFile(str(path))
    access_log = AccessLog(log, "%(s)s %(B)s")
    made = entry(size=102)
    made.was_cut = True
    access_log.cut(None, made)  # type: ignore[arg-type]
    made.response = None
    made.body_size = 0
    access_log.cut(None, made)  # type: ignore[arg-type]
    log.close()
    assert path.read_text() == "200 2\n499 0\n"


def test_in_the_text_format_refusals_are_the_error_logs(path: Path) -> None:
    assert len(lines_of(path, "text", GOOD, BAD, LONG)) == 1
