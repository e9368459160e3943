from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte import errors
from firstbyte.client.bodies import Body, encode_content
from firstbyte.client.retries import Retry, retry_after, to_retry
from firstbyte.http.dates import format_date
from firstbyte.http.headers import Headers

NOW = 1_800_000_000.0


@dataclass
class Request:
    method: str = "GET"
    body: Body | None = None


@dataclass
class Response:
    status: int
    headers: Headers


def answer(status: int, after: str | None = None) -> Response:
    return Response(status, Headers({} if after is None else {"Retry-After": after}))


def retry(**options) -> Retry:
    return Retry(**{"random": lambda: 1.0, "clock": lambda: NOW, "jitter": 0.0} | options)


@pytest.mark.parametrize(
    ("error", "get", "post"),
    [
        (errors.ConnectError("refused"), True, True),
        (errors.ResolveError("no address"), True, True),
        (errors.ConnectTimeout("slow"), True, True),
        (errors.TLSError("not trusted"), False, False),
        (errors.ProxyError("no", status=407), False, False),
        (errors.ProxyError("no", status=503), True, True),
        (errors.ProxyError("no"), True, True),
        (errors.ServerClosed("cut"), True, False),
        (errors.IncompleteBody("cut"), True, False),
        (errors.ReadTimeout("slow"), True, False),
        (errors.WriteTimeout("slow"), True, False),
        (errors.PoolTimeout("full"), False, False),
        (errors.TotalTimeout("late"), False, False),
        (errors.BadResponse("nonsense"), False, False),
        (errors.DecodingError("nonsense"), False, False),
        (errors.InvalidRequest("nonsense"), False, False),
    ],
)
def test_which_errors_are_tried_again(error, get, post):
    assert (retry().after_error(1, Request("GET"), error) is not None) is get
    assert (retry().after_error(1, Request("POST"), error) is not None) is post


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "POST", "PATCH", "LOCK", "get"])
@pytest.mark.parametrize("status", [200, 404, 429, 500, 501, 502, 503, 504])
def test_which_answers_are_tried_again(method, status):
    idempotent = method in ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE")
    again = retry().after_answer(1, Request(method), answer(status)) is not None
    assert again is (idempotent and status in (429, 502, 503, 504))


@pytest.mark.parametrize(("body", "again"), [(encode_content(b"a"), True), (encode_content(iter([b"a"])), False)])
def test_the_body_must_be_there_again(body, again):
    request = Request("PUT", body)
    assert (retry().after_error(1, request, errors.ServerClosed("cut")) is not None) is again
    assert (retry().after_answer(1, request, answer(503)) is not None) is again
    assert retry().after_error(1, request, errors.ConnectError("refused")) is not None


def test_methods_and_statuses_can_be_chosen():
    chosen = retry(methods={"POST"}, statuses={500})
    assert chosen.after_answer(1, Request("POST"), answer(500)) is not None
    assert chosen.after_answer(1, Request("POST"), answer(503)) is None
    assert chosen.after_answer(1, Request("GET"), answer(500)) is None


def test_the_wait_doubles_up_to_its_bound_and_ends():
    chosen = retry(total=4, backoff=1.0, max_wait=5.0)
    error = errors.ConnectError("refused")
    assert [chosen.after_error(made, Request(), error) for made in range(1, 6)] == [1.0, 2.0, 4.0, 5.0, None]
    assert [chosen.after_answer(made, Request(), answer(503)) for made in range(1, 6)] == [1.0, 2.0, 4.0, 5.0, None]


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 10_000))
def test_jitter_takes_off_its_share_at_most(jitter, random, made):
    wait = retry(total=10_000, jitter=jitter, random=lambda: random).after_error(
        made, Request(), errors.ConnectError("refused")
    )
    full = min(60.0, 0.5 * 2.0 ** min(made - 1, 64))
    assert full * (1 - jitter) <= wait + 1e-9
    assert wait <= full


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("60", 60.0),
        ("61", None),
        ("9" * 18, None),
        (format_date(NOW + 7), 7.0),
        (format_date(NOW - 7), 0.0),
        (format_date(NOW + 3600), None),
        ("soon", 0.5),
        ("-1", 0.5),
        ("1.5", 0.5),
        ("", 0.5),
    ],
)
def test_what_the_server_asks_for_is_respected(value, seconds):
    assert retry().after_answer(1, Request(), answer(503, value)) == seconds
    assert retry(respect_retry_after=False).after_answer(1, Request(), answer(503, value)) == 0.5


def test_retry_after_is_read_from_headers():
    assert retry_after(Headers(), NOW) is None
    assert retry_after(Headers({"Retry-After": "3"}), NOW) == 3.0


def test_what_retries_may_be():
    assert to_retry(None) is None
    assert to_retry(0) is None
    assert to_retry(3).total == 3
    own = Retry(total=1)
    assert to_retry(own) is own


@pytest.mark.parametrize(("value", "error"), [(-1, ValueError), (True, TypeError), ("3", TypeError), (1.5, TypeError)])
def test_what_retries_may_not_be(value, error):
    with pytest.raises(error, match="retries"):
        to_retry(value)


@pytest.mark.parametrize(
    "options",
    [{"total": -1}, {"backoff": -1}, {"backoff": float("nan")}, {"jitter": 2}, {"max_wait": -1}, {"methods": "GET"}],
)
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=f"retries: {next(iter(options))}"):
        Retry(**options)
