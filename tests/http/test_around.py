"""Handlers around others: what a server asks of them reaches the inner ones, and endpoints keep what they are."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from firstbyte.http import around
from firstbyte.http.around import Around, Changed
from firstbyte.http.handler import Endpoint, Pace
from firstbyte.http.services import Periodic


class Inner:
    def __init__(self, name, is_async, happened):
        self.name = name
        self.is_async = is_async
        self.periodic = [Periodic(print, 1.0, name)]
        self._happened = happened

    @asynccontextmanager
    async def lifespan(self):
        self._happened.append(f"{self.name} in")
        yield
        self._happened.append(f"{self.name} out")

    def resolve(self, request):
        raise NotImplementedError


class Plain:
    """A handler without anything but `resolve`."""

    def resolve(self, request):
        raise NotImplementedError


def entered(handler):
    async def run():
        async with handler.lifespan():
            pass

    asyncio.run(run())


@pytest.mark.parametrize("names", [("one",), ("one", "two")])
def test_what_a_server_asks_for_is_passed_on(names):
    happened = []
    handler = Around(*(Inner(name, True, happened) for name in names))
    entered(handler)
    assert happened == [f"{name} in" for name in names] + [f"{name} out" for name in reversed(names)]
    assert [job.name for job in handler.periodic] == list(names)


@pytest.mark.parametrize(("kinds", "is_async"), [((False, False), False), ((False, True), True), ((True,), True)])
def test_it_has_coroutines_if_one_of_the_inner_has(kinds, is_async):
    assert Around(*(Inner("it", kind, []) for kind in kinds)).is_async is is_async


def test_handlers_need_none_of_it():
    handler = Around(Plain(), Plain())
    entered(handler)
    assert handler.is_async is False
    assert handler.periodic == []


def test_an_endpoint_is_changed_once():
    made = []

    def change(endpoint):
        made.append(endpoint)
        return endpoint.with_call(print)

    changed, endpoint = Changed(change), Endpoint(len)
    assert changed[endpoint] is changed[endpoint]
    assert made == [endpoint]


def test_endpoints_are_not_remembered_without_bound(monkeypatch):
    monkeypatch.setattr(around, "_REMEMBERED", 3)
    changed = Changed(lambda endpoint: endpoint.with_call(print))
    for _ in range(10):
        assert changed[Endpoint(len)].call is print
        assert len(changed) <= 3


FIELDS = ("name", "is_async", "cancel_on_disconnect", "streams_body", "sends", "max_body", "pace", "rule")


def full_endpoint(**changed):
    options = {"name": "it", "streams_body": True, "sends": True, "max_body": 7, "pace": Pace(), "rule": "origin"}
    return Endpoint(len, **(options | changed))


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("cancels", [False, True])
def test_with_call_keeps_everything_else(is_async, cancels):
    endpoint = full_endpoint(is_async=is_async, cancel_on_disconnect=cancels)
    other = endpoint.with_call(print)
    assert other.call is print
    assert [getattr(other, field) for field in FIELDS] == [getattr(endpoint, field) for field in FIELDS]


def test_with_call_of_another_kind_cancels_as_its_kind_does():
    assert full_endpoint().with_call(print, is_async=True).cancel_on_disconnect is True
    assert full_endpoint(is_async=True).with_call(print, is_async=False).cancel_on_disconnect is False


def test_with_call_may_keep_an_answer_until_it_is_complete():
    assert full_endpoint().with_call(print, sends=False).sends is False
