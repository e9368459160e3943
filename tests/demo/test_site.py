"""The demo's pages: what they consist of, and what a browser makes of them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from browsing import Page
from demo.test_tasks import ask, read
from firstbyte import App, Server
from firstbyte.demo.tasks import SITE

PAGES = ["/", "/about.html", "/404.html"]

# -- without a browser


def test_every_link_leads_somewhere_and_none_to_another_host(app: App) -> None:
    for page in SITE.glob("*.html"):
        links = re.findall(r'(?:href|src)="([^"]*)"', page.read_text())
        assert len(links) >= 5
        for link in links:
            if link != "/nothing-here" and not link.startswith("#"):
                assert link.startswith("/")
                assert ask(app, "GET", link).status == 200, f"{page.name}: {link}"
            elif link.startswith("#"):
                assert f'id="{link[1:]}"' in page.read_text()
    for file in SITE.iterdir():
        hosts = set(re.findall(r"https?://[^/\"' <]+", file.read_text()))
        assert hosts <= {"http://127.0.0.1:8000", "http://www.w3.org"}, file.name
        assert file.stat().st_size < 16 * 1024, file.name


def test_every_text_has_contrast_in_light_and_dark() -> None:
    """At least 4.5 to 1, WCAG 2.2 success criterion 1.4.3; 3 to 1 for edges, 1.4.11."""
    colours = dict(re.findall(r"--([a-z-]+): light-dark\(([^)]+)\)", (SITE / "style.css").read_text()))

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    grounds = {"paper", "card", "sunk"}
    pairs = [(text, ground, 4.5) for text in ("ink", "soft", "accent", "good", "bad") for ground in grounds]
    for text, ground, least in [*pairs, ("on-accent", "accent", 4.5), ("edge", "card", 3.0), ("edge", "paper", 3.0)]:
        for scheme in (0, 1):
            light, dark = sorted(luminance(colours[name].split(", ")[scheme]) for name in (text, ground))[::-1]
            contrast = (light + 0.05) / (dark + 0.05)
            assert contrast >= least, f"{text} on {ground} in {('light', 'dark')[scheme]}: {contrast:.2f}"


# -- in Chromium


@pytest.fixture
def page(page: Page) -> Page:
    page.look(1280, 800)
    return page


@pytest.fixture
def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def tasks(app: App) -> list[tuple[str, bool]]:
    """What the API says there is."""
    return [(task["title"], task["done"]) for task in read(ask(app, "GET", "/tasks"))]


SHOWN = (  # textContent: a row that is not yet drawn has no innerText
    "[...document.querySelectorAll('#tasks li')]"
    ".map(row => [row.querySelector('span').textContent, row.querySelector('input').checked])"
)
ERROR = "document.querySelector('#error').innerText"
FOCUS = "document.activeElement.ariaLabel ?? document.activeElement.id"


def rows(page: Page) -> list[tuple[str, bool]]:
    """What the page shows."""
    return [(title, done) for title, done in page.evaluate(SHOWN)]


@pytest.mark.needs("chromium")
def test_it_shows_the_tasks_and_nothing_in_them_is_html(app: App, page: Page, url: str) -> None:
    titles = ["first", "<b>bold</b> <img src=x onerror=alert(1)>", "\"quotes\" & 'such'", "🐍 änd ünïcode"]
    for title in titles:
        ask(app, "POST", "/tasks", {"title": title})
    ask(app, "PATCH", "/tasks/1", {"done": True})
    page.open(url)
    page.wait_for("document.querySelectorAll('#tasks li').length == 4")
    assert rows(page) == [(title, title == "first") for title in reversed(titles)]
    assert page.evaluate("document.querySelector('#count').innerText") == "3 of 4 to do"
    assert page.evaluate("document.querySelectorAll('#tasks b, #tasks img').length") == 0
    assert page.evaluate("document.querySelector('.shell').innerText").count(url) == 3
    assert page.complaints == []


@pytest.mark.needs("chromium")
def test_all_of_it_by_keyboard(app: App, page: Page, url: str) -> None:
    page.open(url)
    page.wait_for("!document.querySelector('#empty').hidden")
    page.evaluate("document.querySelector('#title').focus()")
    for title in ("one", "two", "three"):
        page.write(title)
        page.press("Enter")  # the next one can be typed at once: nothing waits for the answer
    page.wait_for("document.querySelectorAll('#tasks li').length == 3")
    assert tasks(app) == [("one", False), ("two", False), ("three", False)]
    assert rows(page) == [("three", False), ("two", False), ("one", False)]

    page.press("Tab")  # to the button Add,
    page.press("Tab")  # to the newest task
    page.press("Space")
    page.wait_for("document.querySelector('#count').innerText == '2 of 3 to do'")
    assert tasks(app)[-1] == ("three", True)
    page.press("Space")
    page.wait_for("document.querySelector('#count').innerText == '3 of 3 to do'")
    assert tasks(app)[-1] == ("three", False)

    page.press("Tab")
    assert page.evaluate(FOCUS) == "Remove three"
    for left in (2, 1, 0):
        page.press("Enter")
        page.wait_for(f"document.querySelectorAll('#tasks li').length == {left}")
        assert len(tasks(app)) == left
        assert page.evaluate(FOCUS) == {2: "Remove two", 1: "Remove one", 0: "title"}[left]
    assert page.evaluate("document.querySelector('#said').innerText") == "Removed one"
    assert page.evaluate("document.querySelector('#empty').checkVisibility()")
    assert page.complaints == []


@pytest.mark.needs("chromium")
def test_errors_are_told_and_nothing_typed_is_lost(app: App, page: Page, url: str) -> None:
    ask(app, "POST", "/tasks", {"title": "here"})
    page.open(url)
    page.wait_for("document.querySelectorAll('#tasks li').length == 1")
    page.evaluate("document.querySelector('#title').focus()")
    for typed, says in (
        ("   ", "Title must not be blank."),
        ("x" * 201, "Title must have at most 200 characters; this one has 201."),
    ):
        page.write(typed)
        page.press("Enter")
        page.wait_for(f"{ERROR} == '{says}'")
        assert page.evaluate("document.querySelector('#title').value") == typed
        assert page.evaluate(FOCUS) == "title"
        page.evaluate("document.querySelector('#title').value = ''")

    with page.offline():
        page.evaluate("document.querySelector('#tasks input').click()")
        page.wait_for(f"{ERROR} == 'The server does not answer. Is it still running?'")
        assert rows(page) == [("here", False)]  # as the server last said
    page.evaluate("document.querySelector('#tasks input').click()")
    page.wait_for(f"{ERROR} == ''")
    assert tasks(app) == [("here", True)]

    ask(app, "DELETE", "/tasks/1")  # behind its back
    page.evaluate("document.querySelector('#tasks input').click()")
    page.wait_for(f"{ERROR} == 'There is no task 1.'")
    page.evaluate("document.querySelector('#tasks button').click()")
    page.wait_for("document.querySelectorAll('#tasks li').length == 0")
    assert page.evaluate(ERROR) == ""


@pytest.mark.needs("chromium")
def test_back_from_a_terminal_the_list_is_the_one_of_now(app: App, page: Page, url: str) -> None:
    for title in ("stays", "goes"):
        ask(app, "POST", "/tasks", {"title": title})
    page.open(url)
    page.wait_for("document.querySelectorAll('#tasks li').length == 2")
    ask(app, "DELETE", "/tasks/2")
    ask(app, "PATCH", "/tasks/1", {"title": "renamed", "done": True})
    ask(app, "POST", "/tasks", {"title": "new"})
    page.evaluate("dispatchEvent(new Event('focus'))")
    page.wait_for("document.querySelector('#tasks').textContent.includes('new')")
    assert rows(page) == [("new", False), ("renamed", True)]


@pytest.mark.needs("chromium")
def test_the_wire_shows_what_was_asked_and_answered(page: Page, url: str) -> None:
    page.open(url)
    page.wait_for("!document.querySelector('#empty').hidden")
    page.evaluate("document.querySelector('#title').focus()")
    page.write("seen")
    page.press("Enter")
    page.wait_for("document.querySelectorAll('#tasks li').length == 1")
    assert re.fullmatch(
        r"POST\s+/tasks\s+201 Created\s+\d+\.\d ms",
        page.evaluate("document.querySelector('#wire summary').innerText"),
    )
    page.evaluate("document.querySelector('#wire summary').click()")
    exchange = page.evaluate("document.querySelector('#wire pre').innerText")
    for part in (
        "> POST /tasks HTTP/1.1\n",
        '\n{"title":"seen"}\n',
        "< HTTP/1.1 201 Created\n",
        "\n< location: /tasks/1\n",
    ):
        assert part in exchange
    for number in range(8):
        page.write(str(number))
        page.press("Enter")
    page.wait_for("document.querySelectorAll('#tasks li').length == 9")
    assert page.evaluate("document.querySelectorAll('#wire li').length") == 6


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("path", PAGES)
def test_every_page_fits_its_window_and_names_what_acts(app: App, page: Page, url: str, path: str) -> None:
    ask(app, "POST", "/tasks", {"title": "w" * 200})
    page.open(url + path)
    if path == "/":
        page.wait_for("document.querySelectorAll('#tasks li').length == 1")
        page.evaluate("document.querySelector('#wire summary').click()")
    for width in (320, 390, 820, 1280, 1920):
        for dark in (False, True):
            page.look(width, 800, dark=dark)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (ground == "rgb(250, 248, 245)") is not dark
    nodes: list[dict[str, Any]] = page.devtools("Accessibility.getFullAXTree")["nodes"]
    acting = [node for node in nodes if node.get("role", {}).get("value") in {"link", "button", "textbox", "checkbox"}]
    assert len(acting) >= 4
    assert all(node["name"]["value"].strip() for node in acting)
    assert page.complaints == []


@pytest.mark.needs("chromium")
def test_a_missing_page_is_a_page(page: Page, url: str) -> None:
    page.open(url + "/nowhere")
    assert page.evaluate("document.querySelector('h1').innerText") == "Nothing is at this address."
    page.evaluate("document.querySelector('.button').click()")
    page.wait_for("document.querySelector('#wire summary')")
    assert page.evaluate("location.pathname") == "/"
