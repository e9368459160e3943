from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte import errors
from firstbyte.client.events import Event, EventParser, EventStream
from firstbyte.http.headers import Headers


def parsed(stream: bytes, size: int | None = None) -> list[Event]:
    """The events of a stream that comes in pieces of that many bytes, or at once."""
    parser = EventParser()
    size = size or len(stream) or 1
    return [event for at in range(0, len(stream), size) for event in parser.feed(stream[at : at + size])]


CASES = [
    (b"", []),
    (b"data: a\n\n", [Event("a")]),
    (b"data: a\n", []),
    (b"data: a", []),
    (b"data: a\r\n\r\n", [Event("a")]),
    (b"data: a\r\r", [Event("a")]),
    (b"data: a\n\r", [Event("a")]),
    (b"data: a\r\n\n", [Event("a")]),
    (b"data: a\r\n\rdata: b\n\n", [Event("a"), Event("b")]),
    (b"data: a\ndata:b\ndata\ndata:  c\n\n", [Event("a\nb\n\n c")]),
    (b"data:\n\n", [Event("")]),
    (b"data\n\ndata\ndata\n\ndata:", [Event(""), Event("\n")]),  # the examples of the standard
    (b"data:test\n\ndata: test\n\n", [Event("test"), Event("test")]),
    (b": comment\n\n:\ndata: a\n:x\n\n", [Event("a")]),
    (b"event: add\ndata: 1\n\ndata: 2\n\n", [Event("1", "add"), Event("2")]),
    (b"event: add\n\ndata: 2\n\n", [Event("2")]),
    (b"event\ndata: a\n\n", [Event("a")]),
    (b"id: 7\ndata: a\n\ndata: b\n\nid\ndata: c\n\n", [Event("a", id="7"), Event("b", id="7"), Event("c")]),
    (b"id: 7\n\ndata: a\n\n", [Event("a", id="7")]),
    (b"id: 7\0\ndata: a\n\n", [Event("a")]),
    (b"retry: 250\ndata: a\n\ndata: b\n\n", [Event("a", retry=250), Event("b")]),
    (b"retry: 2.5\ndata: a\nretry: -1\nretry: \xd9\xa1\nretry:\n\n", [Event("a")]),
    (b"\xef\xbb\xbfdata: a\n\n", [Event("a")]),
    (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [Event("b")]),
    (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [Event("a")]),
    ("data: é€𝄞\n\n".encode(), [Event("é€𝄞")]),
    (b"data: \xe2\x82\n\ndata: \xff\n\n", [Event("\ufffd"), Event("\ufffd")]),
    ("data: a\u2028b\x0bc\x0cd\x85\n\n".encode(), [Event("a\u2028b\x0bc\x0cd\x85")]),
    (b"Data: a\n data: b\nunknown: c\ndata: d: e\n\n", [Event("d: e")]),
    (b"\n\n\n\ndata: a\n\n\n", [Event("a")]),
]


@pytest.mark.parametrize("size", [None, 1, 2, 3, 7])
@pytest.mark.parametrize(("stream", "events"), CASES)
def test_streams(stream, events, size):
    assert parsed(stream, size) == events


@given(st.text(alphabet="adt:i \n\r\0é", max_size=80), st.integers(1, 9))
def test_however_a_stream_is_cut_its_events_are_the_same(text, size):
    stream = text.replace("t", "data").replace("i", "id").encode()
    assert parsed(stream, size) == parsed(stream)


def test_what_the_stream_says_of_itself_is_kept():
    parser = EventParser("3")
    assert parser.last_event_id == "3"
    assert list(parser.feed(b"id: 4\nretry: 10\n")) == []
    assert (parser.last_event_id, parser.retry) == ("3", 10)  # an id counts when its event is complete
    assert list(parser.feed(b"\n")) == []
    assert parser.last_event_id == "4"


@pytest.mark.parametrize("pieces", [[b"data: " + b"x" * 100], [b"data: x\n"] * 20, [b"x"] * 101, [b":" * 101]])
def test_an_event_has_a_bound(pieces):
    parser = EventParser(max_event=100)
    with pytest.raises(errors.BadResponse, match="more than 100 bytes") as caught:
        for piece in pieces:
            assert list(parser.feed(piece)) == []
    assert caught.value.rule == "event-size"


def test_what_is_not_held_does_not_count():
    parser = EventParser(max_event=100)
    for _ in range(50):
        assert list(parser.feed(b": keep alive\nretry: 5\n\n")) == []
        assert len(list(parser.feed(b"data: " + b"x" * 80 + b"\n\n"))) == 1
    assert list(parser.feed(b": keep alive\n" * 50)) == []


@dataclass
class Response:
    status: int
    headers: Headers


def answer(status=200, content_type="text/event-stream"):
    return Response(status, Headers({"Content-Type": content_type} if content_type else {}))


def test_the_request_asks_for_events_and_goes_on_where_it_was():
    stream = EventStream()
    assert stream.headers().items() == [("Accept", "text/event-stream"), ("Cache-Control", "no-store")]
    assert stream.accepts(answer())
    assert list(stream.feed("id: é7\ndata: a\n\nid: 8\n".encode())) == [Event("a", id="é7")]
    assert stream.last_event_id == "é7"
    assert stream.headers()["last-event-id"].encode("latin-1") == "é7".encode()


def test_a_subscription_can_go_on_where_another_ended():
    assert EventStream(last_event_id="7").headers()["last-event-id"] == "7"


@pytest.mark.parametrize("last", ["a\x01", "a\r\nX: y", "\x7f"])
def test_an_id_that_cannot_stand_in_a_header_is_left_out(last):
    assert "last-event-id" not in EventStream(last_event_id=last).headers()


def test_what_was_not_complete_is_forgotten_with_its_connection():
    stream = EventStream()
    assert stream.accepts(answer())
    assert list(stream.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\nda")) == [Event("a", id="1")]
    assert stream.accepts(answer())
    assert list(stream.feed(b"\xef\xbb\xbfdata: c\n\n")) == [Event("c", id="1")]


@pytest.mark.parametrize("content_type", ["text/event-stream", "Text/Event-Stream; charset=utf-8"])
def test_a_stream_is_accepted(content_type):
    assert EventStream().accepts(answer(content_type=content_type))


def test_204_ends_it():
    assert not EventStream().accepts(answer(204, None))


@pytest.mark.parametrize("status", [201, 301, 404, 500, 503])
def test_another_status_is_an_error(status):
    response = answer(status)
    with pytest.raises(errors.StatusError, match=str(status)) as caught:
        EventStream().accepts(response)
    assert caught.value.response is response


@pytest.mark.parametrize("content_type", [None, "text/html", "nonsense", "text/event-stream-x"])
def test_another_type_is_an_error(content_type):
    with pytest.raises(errors.BadResponse, match="no event stream") as caught:
        EventStream().accepts(answer(content_type=content_type))
    assert caught.value.rule == "content-type"


def test_waits():
    stream = EventStream(random=lambda: 0.0, max_failures=6)
    cut = errors.ServerClosed("cut")
    assert stream.after_end() == 3.0
    assert [stream.after_error(cut) for _ in range(6)] == [3.0, 6.0, 12.0, 24.0, 48.0, 60.0]
    with pytest.raises(errors.ServerClosed) as caught:
        stream.after_error(cut)
    assert caught.value is cut
    assert stream.accepts(answer())
    list(stream.feed(b"retry: 500\n"))
    assert stream.after_end() == 0.5
    assert [stream.after_error(cut) for _ in range(2)] == [0.5, 1.0]
    list(stream.feed(b"retry: 999999999\n"))
    assert stream.after_end() == 60.0


def test_a_random_part_is_taken_off():
    stream = EventStream(random=lambda: 1.0)
    assert stream.after_error(errors.ConnectError("refused")) == 1.5


@pytest.mark.parametrize("error", [errors.BadResponse("x"), errors.StatusError("x"), errors.InvalidRequest("x")])
def test_errors_that_are_not_the_networks_end_it(error):
    with pytest.raises(type(error)):
        EventStream().after_error(error)
