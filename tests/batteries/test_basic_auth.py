"""Basic authentication: who comes in, and who has tried too often."""

from __future__ import annotations

import base64
import sys

import pytest

import needs
from firstbyte import App, Request, Response
from firstbyte.batteries import basic_auth as module
from firstbyte.batteries.basic_auth import basic_auth
from firstbyte.errors import ConfigurationError
from firstbyte.http.request import Address

ARGON2 = "$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHRzYWx0$"


def app_with(*users: str, **options: object) -> App:
    app = App()
    app.middleware(basic_auth(users, **options))  # type: ignore[arg-type]

    @app.get("/")
    def hello() -> str:
        return "inside"

    return app


def ask(app: App, given: str | None, client: str = "192.0.2.1", scheme: str = "Basic") -> Response:
    fields = {} if given is None else {"Authorization": f"{scheme} {base64.b64encode(given.encode()).decode()}"}
    request = Request.build("GET", "/", fields, client=Address(client, 1))
    response = app.resolve(request).call(request)
    assert isinstance(response, Response)
    return response


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("jane:secret", 200),
        ("joe:pass:with:colons", 200),
        ("zoë:geheim ☃", 200),
        ("jane:Secret", 401),
        ("jane:", 401),
        ("joe:secret", 401),
        ("nobody:secret", 401),
        (":secret", 401),
        ("jane", 401),
        (None, 401),
    ],
)
def test_who_comes_in(given: str | None, status: int) -> None:
    app = app_with("jane:secret", "joe:pass:with:colons", "zoë:geheim ☃")
    for _ in range(2):
        answer = ask(app, given)
        assert answer.status == status
        if status == 401:
            assert answer.headers["www-authenticate"] == 'Basic realm="firstbyte", charset="UTF-8"'
            assert answer.headers["cache-control"] == "no-store"


def test_other_schemes_and_nonsense() -> None:
    app = app_with("jane:secret")
    assert ask(app, "jane:secret", scheme="bAsIc").status == 200
    assert ask(app, "jane:secret", scheme="Bearer").status == 401
    for field in ("Basic", "Basic ====", "Basic \x80", "Basic " + base64.b64encode(b"\xff:\xff").decode()):
        request = Request.build("GET", "/", {"Authorization": field})
        assert app.resolve(request).call(request).status == 401


def test_a_hash_of_argon2() -> None:
    argon2 = needs.package("argon2")
    hashed = argon2.PasswordHasher(time_cost=1, memory_cost=1024).hash("secret")
    app = app_with(f"jane:{hashed}")
    assert [ask(app, given).status for given in ("jane:secret", "jane:secret", "jane:wrong", f"jane:{hashed}")] == [
        200,
        200,
        401,
        401,
    ]
    with pytest.raises(ConfigurationError, match="none of argon2"):
        basic_auth(["jane:$argon2id$nonsense"])


def test_a_hash_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "argon2", None)
    with pytest.raises(ConfigurationError, match=r"firstbyte\[auth\]"):
        basic_auth([f"jane:{ARGON2}"])


def test_too_many_wrong_passwords() -> None:
    now = [0.0]
    app = app_with("jane:secret", attempts=3, window=60, clock=lambda: now[0])
    assert [ask(app, "jane:wrong").status for _ in range(5)] == [401, 401, 401, 429, 429]
    now[0] = 45.5
    assert (ask(app, "jane:secret").status, ask(app, "jane:secret").headers["retry-after"]) == (429, "15")
    assert ask(app, "jane:secret", client="192.0.2.2").status == 200  # somebody else
    now[0] = 61
    assert [ask(app, given).status for given in ("jane:wrong", "jane:secret", None)] == [401, 200, 401]
    # A browser asks without a password first; that is no attempt.
    assert [ask(app, None).status for _ in range(5)] == [401] * 5


def test_who_has_many_addresses_is_one_client() -> None:
    app = app_with("jane:secret", attempts=3)
    tried = [ask(app, "jane:wrong", client=f"2001:db8::{number:x}").status for number in range(1, 6)]
    assert tried == [401, 401, 401, 429, 429]
    assert ask(app, "jane:secret", client="2001:db8:0:1::1").status == 200


def test_what_is_counted_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLIENTS", 3)
    monkeypatch.setattr(module, "_REMEMBERED", 1)
    app = app_with("jane:secret", "joe:secret", attempts=1)
    for number in range(5):
        assert ask(app, "jane:wrong", client=f"192.0.2.{number}").status == 401
    assert ask(app, "jane:secret", client="192.0.2.0").status == 200  # the oldest is forgotten
    assert ask(app, "jane:secret", client="192.0.2.4").status == 429
    assert ask(app, "joe:secret").status == ask(app, "jane:secret").status == 200


@pytest.mark.parametrize("users", [[], ["jane"], ["jane:"], [":secret"], {"ja:ne": "secret"}, {"jane": ""}])
def test_users_that_are_none(users: list[str] | dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        basic_auth(users)


def test_a_realm_is_plain_text() -> None:
    with pytest.raises(ConfigurationError):
        basic_auth(["jane:secret"], realm='a"b')
