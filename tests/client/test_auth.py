import base64
import hashlib
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.client.auth import Auth, Basic, Bearer, Digest, NetrcAuth, parse_challenges, to_auth
from firstbyte.client.bodies import Body, encode_content
from firstbyte.errors import ConfigurationError, InvalidRequest
from firstbyte.http.headers import Headers
from firstbyte.http.url import URL

NOTHING = Headers()


@dataclass
class Request:
    method: str = "GET"
    target: str = "/dir/index.html"
    body: Body | None = None
    host: str = "www.example.org"
    headers: Headers = field(default_factory=Headers)

    @property
    def url(self):
        return URL.parse(f"http://{self.host}{self.target}")


@dataclass
class Response:
    status: int = 200
    headers: Headers = field(default_factory=Headers)


def refusal(*challenges: str) -> Response:
    return Response(401, Headers([("WWW-Authenticate", challenge) for challenge in challenges]))


def run(auth: Auth, request: Request, *answers: Response) -> list[str | None]:
    """The Authorization of each request that is sent while these answers come, in order."""
    sent = []
    flow = auth.flow(request)
    made = next(flow)
    for answer in answers:
        sent.append(made.headers.get("authorization"))
        try:
            made = flow.send(answer)
        except StopIteration:
            assert answer is answers[-1]
            return sent
    sent.append("one more")
    return sent


def fields(authorization: str) -> dict[str, str]:
    ((scheme, said),) = parse_challenges([authorization])
    assert scheme == "digest"
    return said


def test_the_base_adds_nothing():
    assert run(Auth(), Request(), Response(401)) == [None]


@pytest.mark.parametrize(
    ("user", "password", "pair"),
    [("Aladdin", "open sesame", b"Aladdin:open sesame"), ("", "", b":"), ("test", "123£:", "test:123£:".encode())],
)
def test_basic(user, password, pair):
    sent = run(Basic(user, password), Request(headers=Headers({"Authorization": "old"})), Response(401))
    assert sent == ["Basic " + base64.b64encode(pair).decode()]


def test_basic_normalizes():
    assert run(Basic("e\u0301", ""), Request(), Response()) == run(Basic("é", ""), Request(), Response())


@pytest.mark.parametrize("kind", [Basic, Digest])
@pytest.mark.parametrize(
    ("user", "password", "why"),
    [
        ("a:b", "", "colon"),
        ("a\r\nX", "", "user name has a control"),
        ("a", "secret\0", "password has a control .* at 6"),
        ("\ud800", "", "lone surrogate"),
    ],
)
def test_what_cannot_be_sent_is_refused_and_not_shown(kind, user, password, why):
    with pytest.raises(InvalidRequest, match=why) as caught:
        kind(user, password)
    assert "secret" not in str(caught.value)


def test_bearer():
    assert run(Bearer("abc-._~+/1=="), Request(), Response()) == ["Bearer abc-._~+/1=="]


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX: y", "é", "a\n", "=a", '"a"'])
def test_what_is_no_bearer_token_is_refused(token):
    with pytest.raises(InvalidRequest, match="RFC 6750"):
        Bearer(token)


@pytest.mark.parametrize("auth", [Basic("u", "secret"), Bearer("secret"), Digest("u", "secret")])
def test_what_is_shown_of_it_has_no_secret(auth):
    assert "secret" not in repr(auth)


EXAMPLE = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


@pytest.mark.parametrize(
    ("challenge", "password", "cnonce", "response"),
    [
        (  # RFC 7616 section 3.9.1
            EXAMPLE.format("MD5"),
            "Circle of Life",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "8ca523f5e9506fed4657c9700eebdbec",
        ),
        (
            EXAMPLE.format("SHA-256"),
            "Circle of Life",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        (  # RFC 2617 section 3.5
            'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
            'opaque="5ccc069c403ebaf9f0171e9517f40e41"',
            "Circle Of Life",
            "0a4f113b",
            "6629fae49393a05397450978507c4ef1",
        ),
        (  # as RFC 2069 had it
            'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"',
            "Circle Of Life",
            "0a4f113b",
            "670fd8c2df070c60b045671b8b24ff02",
        ),
    ],
)
def test_digest_gives_the_answers_of_the_standards(challenge, password, cnonce, response):
    auth = Digest("Mufasa", password, cnonce=lambda: cnonce)
    first, second = run(auth, Request(), refusal(challenge), Response())
    assert first is None
    said = fields(second)
    asked = fields(challenge)
    assert said["response"] == response
    assert (said["username"], said["uri"]) == ("Mufasa", "/dir/index.html")
    assert {name: said.get(name) for name in ("realm", "nonce", "opaque", "algorithm")} == {
        name: asked.get(name) for name in ("realm", "nonce", "opaque", "algorithm")
    }
    if "qop" in asked:
        assert (said["qop"], said["nc"], said["cnonce"]) == ("auth", "00000001", cnonce)
    else:
        assert not {"qop", "nc", "cnonce"} & said.keys()


HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


def proof(algorithm, user, password, said, request, body=b""):
    """What a server computes (RFC 7616 section 3.4.1), written as the standard has it."""

    def h(text):
        data = text if isinstance(text, bytes) else text.encode()
        return hashlib.new(HASHES[algorithm.upper().removesuffix("-SESS")], data).hexdigest()

    a1 = f"{user}:{said['realm']}:{password}"
    if algorithm.upper().endswith("-SESS"):
        a1 = f"{h(a1)}:{said['nonce']}:{said['cnonce']}"
    a2 = f"{request.method}:{said['uri']}" + (f":{h(body)}" if said["qop"] == "auth-int" else "")
    return h(f"{h(a1)}:{said['nonce']}:{said['nc']}:{said['cnonce']}:{said['qop']}:{h(a2)}")


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "sha-256-SESS", "SHA-512-256", "SHA-512-256-sess"])
@pytest.mark.parametrize("qop", ["auth", "auth-int"])
@pytest.mark.parametrize("body", [None, b"", b"abc", [b"a", b"bc"]])
def test_digest_is_what_a_server_computes(algorithm, qop, body):
    request = Request("POST", "/x?y=1", None if body is None else encode_content(body))
    challenge = f'Digest realm="r", nonce="n", qop="{qop}", algorithm={algorithm}'
    _, second = run(Digest("user", "pass"), request, refusal(challenge), Response())
    said = fields(second)
    assert (said["qop"], said["algorithm"]) == (qop, algorithm)
    sent = b"".join(request.body.pieces()) if request.body else b""
    assert said["response"] == proof(algorithm, "user", "pass", said, request, sent)


def test_a_user_may_be_hashed():
    challenge = 'Digest realm="r", nonce="n", qop=auth, algorithm=SHA-256, userhash=true'
    _, second = run(Digest("Jäsøn", "pass"), Request(), refusal(challenge), Response())
    said = fields(second)
    assert said["username"] == hashlib.sha256("Jäsøn:r".encode()).hexdigest()
    assert said["userhash"] == "true"
    assert said["response"] == proof("SHA-256", "Jäsøn", "pass", said, Request())


def test_a_user_outside_ascii_is_written_in_the_extended_form():
    _, second = run(Digest("Jäsøn", "p"), Request(), refusal('Digest realm="r", nonce="n", qop=auth'), Response())
    assert "username*=UTF-8''J%C3%A4s%C3%B8n" in second
    assert "username=" not in second


def test_quotes_are_escaped():
    challenge = r'Digest realm="a \"b\" \\c", nonce="n\"", qop="auth"'
    _, second = run(Digest('u"\\', "p"), Request(), refusal(challenge), Response())
    said = fields(second)
    assert (said["realm"], said["nonce"], said["username"]) == ('a "b" \\c', 'n"', 'u"\\')
    assert said["response"] == proof("MD5", 'u"\\', "p", said, Request())


NONCE = 'Digest realm="r", qop="auth", nonce={}'
STALE = NONCE + ", stale=TRUE"


def nonces(sent):
    return [None if value is None else (fields(value)["nonce"], fields(value)["nc"]) for value in sent]


def test_a_nonce_is_used_again_and_counted():
    auth = Digest("u", "p")
    assert nonces(run(auth, Request(), refusal(NONCE.format("a")), Response())) == [None, ("a", "00000001")]
    assert nonces(run(auth, Request(), Response())) == [("a", "00000002")]
    assert nonces(run(auth, Request(), refusal(STALE.format("b")), Response())) == [
        ("a", "00000003"),
        ("b", "00000001"),
    ]


def test_a_nonce_is_for_one_origin():
    auth = Digest("u", "p")
    run(auth, Request(), refusal(NONCE.format("a")), Response())
    assert run(auth, Request(host="other.org"), Response()) == [None]


def test_with_wrong_credentials_there_is_one_try():
    auth = Digest("u", "p")
    sent = run(auth, Request(), refusal(NONCE.format("a")), refusal(NONCE.format("b")))
    assert nonces(sent) == [None, ("a", "00000001")]
    assert run(auth, Request(), Response()) == [None]  # and nothing is remembered of it


def test_a_nonce_that_is_forgotten_by_the_server_is_renewed_once_without_stale():
    auth = Digest("u", "p")
    run(auth, Request(), refusal(NONCE.format("a")), Response())
    sent = run(auth, Request(), refusal(NONCE.format("b")), refusal(NONCE.format("c")))
    assert nonces(sent) == [("a", "00000002"), ("b", "00000001")]


def test_a_nonce_that_is_stale_at_once_is_answered_once_more_and_no_more():
    sent = run(Digest("u", "p"), Request(), *(refusal(STALE.format(nonce)) for nonce in "abc"))
    assert nonces(sent) == [None, ("a", "00000001"), ("b", "00000001")]


def test_the_next_nonce_is_taken_over():
    auth = Digest("u", "p")
    named = Response(200, Headers({"Authentication-Info": 'qop=auth, nextnonce="b", rspauth="x"'}))
    run(auth, Request(), refusal(NONCE.format("a")), named)
    assert nonces(run(auth, Request(), Response())) == [("b", "00000001")]


def test_origins_are_remembered_up_to_a_bound():
    auth = Digest("u", "p")
    for number in range(150):
        run(auth, Request(host=f"h{number}.org"), refusal(NONCE.format("a")), Response())
    assert run(auth, Request(host="h0.org"), Response()) == [None]
    assert nonces(run(auth, Request(host="h149.org"), Response())) == [("a", "00000002")]


@pytest.mark.parametrize(
    "challenges",
    [
        (),
        ('Basic realm="r"',),
        ('Digest realm="r"',),
        ('Digest nonce="n"',),
        ('Digest realm="r", nonce="n", algorithm=SHA-1',),
        ('Digest realm="r", nonce="n", qop="auth-conf"',),
        ("nonsense=",),
    ],
)
def test_a_challenge_that_cannot_be_answered_is_the_callers(challenges):
    assert run(Digest("u", "p"), Request(), refusal(*challenges)) == [None]


@pytest.mark.parametrize(
    "challenges",
    [
        ('Basic realm="r", Digest realm="r", nonce="n", algorithm=x, Digest realm="q", nonce="m", algorithm=SHA-256',),
        ("Negotiate", 'Digest realm="q", nonce="m", algorithm=SHA-256', 'Digest realm="r", nonce="n"'),
    ],
)
def test_of_several_challenges_the_first_that_is_understood_counts(challenges):
    _, second = run(Digest("u", "p"), Request(), refusal(*challenges), Response())
    assert fields(second)["nonce"] == "m"


def test_a_body_that_cannot_be_sent_again_leaves_the_answer_to_the_caller():
    auth = Digest("u", "p")
    request = Request("POST", body=encode_content(iter([b"a"])))
    assert run(auth, request, refusal(NONCE.format("a"))) == [None]
    request = Request("POST", body=encode_content(iter([b"a"])))
    assert nonces(run(auth, request, Response())) == [("a", "00000001")]  # but the nonce is known


def test_a_body_that_cannot_be_read_before_is_not_hashed():
    request = Request("POST", body=encode_content(iter([b"a"])))
    auth = Digest("u", "p")
    assert run(auth, request, refusal('Digest realm="r", nonce="n", qop="auth-int"')) == [None]


@pytest.mark.parametrize(
    ("value", "challenges"),
    [
        ("", []),
        ("Basic", [("basic", {})]),
        (", ,Basic realm=x ,", [("basic", {"realm": "x"})]),
        ('Basic Realm = "x" , charset="UTF-8"', [("basic", {"realm": "x", "charset": "UTF-8"})]),
        ("Negotiate YII=, NTLM", [("negotiate", {"": "YII="}), ("ntlm", {})]),
        ('A a="1, B b=2", c=3,D e=4', [("a", {"a": "1, B b=2", "c": "3"}), ("d", {"e": "4"})]),
        ("A a=1, a=2", [("a", {"a": "1"})]),
        ('A a="x', [("a", {})]),
        ('A a=1, b="x" y, C d=2', [("a", {"a": "1"})]),
        ("realm=x", []),
    ],
)
def test_challenges_are_parsed(value, challenges):
    assert parse_challenges([value]) == challenges
    assert parse_challenges([value, "Z z=1"]) == [*challenges, ("z", {"z": "1"})]


@given(st.text(alphabet='Digest Basic =,"\\;ab \t', max_size=60))
def test_whatever_is_asked_for_is_parsed(value):
    parse_challenges([value])


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=255, blacklist_categories=["Cc"]), max_size=20),
    st.text(st.characters(blacklist_categories=["Cc", "Cs"], blacklist_characters=":"), max_size=20),
)
def test_whatever_stands_in_a_challenge_the_answer_is_one_field(realm, user):
    quoted = realm.replace("\\", "\\\\").replace('"', '\\"')
    challenge = f'Digest realm="{quoted}", nonce="{quoted}", opaque="{quoted}", qop=auth'
    _, second = run(Digest(user, "p"), Request(), refusal(challenge), Response())
    said = fields(Headers({"Authorization": second})["authorization"])
    assert (said["realm"], said["nonce"], said["opaque"]) == (realm, realm, realm)


@pytest.fixture
def netrc_file(tmp_path, monkeypatch):
    path = tmp_path / "netrc"
    path.write_text("machine www.example.org login u password p\nmachine colon.org login a:b password p\n")
    path.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    return path


def test_netrc(netrc_file, monkeypatch):
    value = "Basic " + base64.b64encode(b"u:p").decode()
    assert run(NetrcAuth(netrc_file), Request(), Response()) == [value]
    assert run(NetrcAuth(netrc_file), Request(host="other.org"), Response()) == [None]
    own = Request(headers=Headers({"Authorization": "own"}))
    assert run(NetrcAuth(netrc_file), own, Response()) == ["own"]
    monkeypatch.setenv("NETRC", str(netrc_file))
    assert run(NetrcAuth(), Request(), Response()) == [value]


def test_netrc_of_the_home_directory_may_be_missing(netrc_file):
    assert run(NetrcAuth(), Request(), Response()) == [None]
    netrc_file.rename(netrc_file.with_name(".netrc"))
    assert run(NetrcAuth(), Request(), Response()) == ["Basic " + base64.b64encode(b"u:p").decode()]


def test_netrc_files_that_cannot_be_used_are_errors(netrc_file):
    with pytest.raises(ConfigurationError, match="not there"):
        NetrcAuth(netrc_file.with_name("missing"))
    with pytest.raises(ConfigurationError, match="cannot be used"):
        NetrcAuth(netrc_file.parent)
    netrc_file.write_text("machine")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        NetrcAuth(netrc_file)


def change(request):
    request.headers["X-Key"] = "1"


def flow(request):
    request.headers["X-Key"] = "1"
    response = yield request
    if response.status == 401:
        request.headers["X-Key"] = "2"
        yield request


@pytest.mark.parametrize("function", [change, lambda request: change(request) or request, flow])
def test_a_function_may_be_an_auth(function):
    request = Request()
    run(to_auth(function), request, Response())
    assert request.headers["x-key"] == "1"


def test_a_generator_gets_the_answer_and_may_ask_again():
    request = Request()
    assert run(to_auth(flow), request, Response(401), Response()) == [None, None]
    assert request.headers["x-key"] == "2"


def test_what_auth_may_be():
    assert to_auth(None) is None
    own = Bearer("a")
    assert to_auth(own) is own
    assert isinstance(to_auth(("u", "p")), Basic)


@pytest.mark.parametrize("value", ["u:p", ("u",), ("u", 1), ["u", "p"], Digest, 1])
def test_what_auth_may_not_be(value):
    with pytest.raises(TypeError, match="auth is"):
        to_auth(value)
