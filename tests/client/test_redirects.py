from dataclasses import dataclass, field

import pytest

from firstbyte.client.bodies import Body, encode_content
from firstbyte.client.redirects import next_request, same_origin
from firstbyte.errors import BadResponse, TooManyRedirects
from firstbyte.http.headers import Headers
from firstbyte.http.url import URL

HERE = URL.parse("https://example.org/a/b?q=1")


@dataclass
class Request:
    method: str = "GET"
    url: URL = HERE
    headers: Headers = field(default_factory=Headers)
    body: Body | None = None


@dataclass
class Response:
    status: int
    headers: Headers


def to(location: str, status: int = 302) -> Response:
    return Response(status, Headers({"Location": location}))


@pytest.mark.parametrize("status", [200, 201, 300, 304, 305, 306, 400])
def test_other_statuses_are_no_redirects(status):
    assert next_request(Request(), to("/", status)) is None


def test_without_a_location_there_is_nowhere_to_go():
    assert next_request(Request(), Response(302, Headers())) is None


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        (301, "GET", "GET"),
        (301, "HEAD", "HEAD"),
        (301, "POST", "GET"),
        (301, "PUT", "PUT"),
        (302, "POST", "GET"),
        (302, "DELETE", "DELETE"),
        (302, "PATCH", "PATCH"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "DELETE", "GET"),
        (303, "HEAD", "HEAD"),
        (303, "GET", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (308, "HEAD", "HEAD"),
    ],
)
def test_methods(status, method, becomes):
    assert next_request(Request(method), to("/x", status)).method == becomes


@pytest.mark.parametrize(("status", "stays"), [(301, False), (302, False), (303, False), (307, True), (308, True)])
def test_a_body_goes_with_its_method_and_its_fields_with_it(status, stays):
    headers = Headers({"Content-Type": "text/plain", "content-encoding": "gzip", "Expect": "100-continue", "X": "1"})
    body = encode_content(b"a")
    found = next_request(Request("POST", headers=headers, body=body), to("/x", status))
    assert found.body is (body if stays else None)
    assert found.headers.items() == (headers.items() if stays else [("X", "1")])
    assert "content-type" in headers  # of the request that was sent


def test_a_body_that_cannot_be_sent_again_ends_the_way():
    once = encode_content(iter([b"a"]))
    response = to("/x", 307)
    with pytest.raises(TooManyRedirects, match="the body again") as caught:
        next_request(Request("POST", body=once), response)
    assert caught.value.response is response
    assert next_request(Request("POST", body=once), to("/x", 303)).body is None


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/x", "https://example.org/x"),
        ("x", "https://example.org/a/x"),
        ("../x?y#z", "https://example.org/x?y#z"),
        ("//other.org/x", "https://other.org/x"),
        ("https://other.org", "https://other.org/"),
        ("HTTPS://Other.ORG:443/", "https://other.org/"),
        ("?y", "https://example.org/a/b?y"),
        ("", "https://example.org/a/b?q=1"),
        ("/a b", "https://example.org/a%20b"),
        ("/é".encode().decode("latin-1"), "https://example.org/%C3%A9"),
        ("/\xe9", "https://example.org/%C3%A9"),
    ],
)
def test_where_it_leads(location, url):
    assert str(next_request(Request(), to(location)).url) == url


@pytest.mark.parametrize(("location", "fragment"), [("/x", "here"), ("/x#there", "there")])
def test_a_fragment_is_kept_unless_there_is_a_new_one(location, fragment):
    request = Request(url=URL.parse("https://example.org/#here"))
    assert next_request(request, to(location)).url.fragment == fragment


@pytest.mark.parametrize("location", ["https://", "https://a:b/", "/a\\b", "/a\tb", "mailto:a@b.c", "https://[::"])
def test_a_location_that_is_no_url_is_the_servers_fault(location):
    with pytest.raises(BadResponse, match="no URL to go to") as caught:
        next_request(Request(), to(location))
    assert caught.value.rule == "location"


def test_two_locations_are_the_servers_fault():
    with pytest.raises(BadResponse, match="two Locations"):
        next_request(Request(), Response(302, Headers([("Location", "/a"), ("Location", "/b")])))
    same = Response(302, Headers([("Location", "/a"), ("Location", "/a")]))
    assert next_request(Request(), same).url.path == "/a"


@pytest.mark.parametrize(
    ("location", "kept"),
    [
        ("/x", True),
        ("https://example.org:443/x", True),
        ("https://EXAMPLE.org/x", True),
        ("https://www.example.org/", False),
        ("https://example.org:8443/", False),
        ("https://example.org./", False),
        ("https://other.org/", False),
    ],
)
def test_credentials_stay_at_their_origin(location, kept):
    headers = Headers({"authorization": "a", "COOKIE": "b", "Host": "c", "Proxy-Authorization": "d", "Accept": "e"})
    found = next_request(Request(headers=headers), to(location))
    assert found.headers.keys() == (headers.keys() if kept else ["accept"])


def test_credentials_do_not_even_go_to_the_same_host_with_tls():
    request = Request(url=URL.parse("http://example.org/"), headers=Headers({"Authorization": "a"}))
    assert "authorization" not in next_request(request, to("https://example.org/")).headers


def test_a_password_in_the_url_stays_at_its_origin():
    request = Request(url=URL.parse("https://user:secret@example.org/a"))
    assert next_request(request, to("/x")).url.password == "secret"
    assert next_request(request, to("https://other.org/")).url.password == ""


def test_tls_is_not_given_up_unless_allowed():
    response = to("http://example.org/")
    with pytest.raises(TooManyRedirects, match="would give up TLS") as caught:
        next_request(Request(), response)
    assert caught.value.response is response
    assert next_request(Request(), response, allow_downgrade=True).url.scheme == "http"


@pytest.mark.parametrize("location", ["ftp://example.org/", "http+unix://%2Frun%2Fdocker.sock/", "file://host/etc"])
def test_only_http_is_followed(location):
    with pytest.raises(TooManyRedirects, match="not followed"):
        next_request(Request(), to(location))


def test_a_unix_socket_may_redirect_within_itself():
    request = Request(url=URL.parse("http+unix://%2Frun%2Fapp.sock/a"))
    assert next_request(request, to("/b")).url.path == "/b"


def test_origins():
    one = URL.parse("https://a.org/x")
    assert same_origin(one, URL.parse("https://a.org:443/y"))
    assert not same_origin(one, URL.parse("http://a.org:443/x"))
