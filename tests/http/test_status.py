from http import HTTPStatus

import pytest

from firstbyte.http.status import PHRASES, has_body, phrase


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (100, "Continue"),
        (103, "Early Hints"),
        (200, "OK"),
        (404, "Not Found"),
        (413, "Content Too Large"),
        (414, "URI Too Long"),
        (416, "Range Not Satisfiable"),
        (421, "Misdirected Request"),
        (422, "Unprocessable Content"),
        (425, "Too Early"),
        (511, "Network Authentication Required"),
        (299, ""),
        (999, ""),
    ],
)
def test_phrase(status, name):
    assert phrase(status) == name


def test_every_status_of_the_standard_library_has_one():
    assert {status.value for status in HTTPStatus} <= PHRASES.keys()


@pytest.mark.parametrize(
    ("status", "expected"),
    [(100, False), (103, False), (199, False), (200, True), (204, False), (205, True), (304, False), (404, True)],
)
def test_has_body(status, expected):
    assert has_body(status) is expected
