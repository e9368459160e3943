"""examples/users.py on a real server: by hand, by Schemathesis, and its page in a browser."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from browsing import Page
from engine.support import Running, Serve
from examples.support import example
from firstbyte.client import Session

ORIGIN = "http://localhost:3000"


@pytest.fixture
def server(serve: Serve) -> Running:
    return serve(example("users"))


@pytest.fixture
def url(server: Running) -> str:
    return f"http://127.0.0.1:{server.server.port}"


def test_the_life_of_a_user(url: str) -> None:
    with Session(base_url=url) as session:
        made = session.post("/users", json={"name": "Zoë", "email": "zoe@example.org"})
        assert (made.status, made.headers["Location"]) == (201, "/users/1")
        user = made.json()
        assert (user["id"], user["role"]) == (1, "reader")
        assert session.get("/users/1").json() == user
        assert session.patch("/users/1", json={"role": "owner"}).json() == {**user, "role": "owner"}
        replaced = session.put("/users/1", data={"name": "Zoe", "email": "zoe@example.org"}).json()
        assert (replaced["name"], replaced["role"], replaced["created"]) == ("Zoe", "reader", user["created"])
        assert session.get("/users?role=reader&size=1").json() == [replaced]
        assert session.get("/users?role=owner").json() == []
        assert session.get("/users?page=2").json() == []
        taken = session.post("/users", json={"name": "Z", "email": "zoe@example.org"})
        assert (taken.status, taken.json()["detail"]) == (409, "zoe@example.org is the address of another user")
        assert [session.delete("/users/1").status for _ in range(2)] == [204, 404]
        assert session.get("/users/1").status == 404


def test_what_does_not_fit(url: str) -> None:
    with Session(base_url=url) as session:
        refused = session.post("/users", json={"name": "", "email": "nobody", "admin": True})
        assert refused.status == 422
        assert refused.json()["problems"][0]["where"] == "body.name"
        problems = session.get("/users?page=0&size=1000&role=null").json()["problems"]
        assert {each["where"] for each in problems} == {"query.page", "query.size", "query.role"}
        assert session.post("/users", content=b"x", headers={"Content-Type": "text/csv"}).status == 415


def test_preflight(url: str) -> None:
    with Session(base_url=url) as session:
        asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
        allowed = session.options("/users/1", headers=asked)
        assert (allowed.status, allowed.headers["Access-Control-Allow-Origin"]) == (204, ORIGIN)
        assert "PUT" in allowed.headers["Access-Control-Allow-Methods"]
        got = session.get("/users", headers={"Origin": ORIGIN})
        assert (got.headers["Access-Control-Allow-Origin"], got.headers["Vary"]) == (ORIGIN, "Origin")
        other = session.options("/users/1", headers={**asked, "Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in other.headers
        assert session.options("/users/1").headers["Allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
        missing = session.get("/users/99", headers={"Origin": ORIGIN})
        assert (missing.status, missing.headers["Access-Control-Allow-Origin"]) == (404, ORIGIN)


def test_schemathesis_finds_nothing(url: str, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json",
        "--checks", "all", "--exclude-checks", "ignored_auth", "--continue-on-failure",
        "--max-examples", "15", "--seed", "4", "--no-color",
    ]  # fmt: skip
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Tested: 6" in ran.stdout


def test_the_page_in_a_browser(url: str, page: Page) -> None:
    with Session(base_url=url) as session:
        session.post("/users", json={"name": "Zoë", "email": "zoe@example.org"})
        page.open(f"{url}/docs")
        page.wait_for("document.querySelectorAll('.opblock').length == 6")
        page.wait_for("document.querySelector('.info')?.innerText.includes('The users of an imaginary site.')")
        opened = "#operations-users-list_users"
        clicks = {f"{opened}.is-open .execute": f"{opened}:not(.is-open) button", ".live-responses-table": ".execute"}
        for wanted, button in clicks.items():  # again each second: the page looks ready before it is
            click = f"Date.now() > (window.next ?? 0) && void document.querySelector('{button}')?.click()"
            page.wait_for(
                f"document.querySelector('{wanted}') || ({click}, window.next = Math.ceil(Date.now() / 1000) * 1000, 0)"
            )
        assert "Zoë" in page.evaluate("document.querySelector('.live-responses-table').innerText")
        asked = json.loads(
            page.evaluate("JSON.stringify(performance.getEntriesByType('resource').map(entry => entry.name))")
        )
        assert asked
        assert all(each.startswith(url) for each in asked)  # nothing is another host's
        assert not page.complaints
