"""Rooms as their members have them, in one process and through Redis, by coroutines and threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from firstbyte.errors import ConfigurationError
from firstbyte.rooms import Message, Rooms

MakeRooms = Callable[..., Rooms]


def test_all_hear_the_same_in_the_same_order(make_rooms: MakeRooms, join: Any) -> None:
    come = join(make_rooms())
    everyone = [come(f"{path}/tea?nick={number}") for number, path in enumerate(("/a", "/s", "/a", "/s"))]
    for number, one in enumerate(everyone):
        one.until(lambda event: "present" in event)
        for count in range(20):
            one.ws.send(f"{number} {count}")
    heard = [one.data(80) for one in everyone]
    assert all(each == heard[0] for each in heard)
    assert sorted(heard[0]) == sorted(f"{number} {count}" for number in range(4) for count in range(20))
    for one in everyone:
        assert one.ids == sorted(set(one.ids))
        assert len(one.ids) == 80


def test_rooms_are_apart(make_rooms: MakeRooms, join: Any, path: str) -> None:
    come = join(make_rooms())
    tea, coffee = come(f"{path}/tea"), come(f"{path}/coffee")
    tea.ws.send("milk")
    coffee.ws.send("sugar")
    assert (tea.data(1), coffee.data(1)) == (["milk"], ["sugar"])


def test_who_is_there(make_rooms: MakeRooms, join: Any, path: str) -> None:
    rooms = make_rooms()
    come = join(rooms)
    ann = come(f"{path}/tea?nick=ann")
    assert ann.next()["present"] == ["ann"]
    again = come(f"{path}/tea?nick=ann")  # the same one twice
    assert again.next()["present"] == ["ann"]
    listener = come(f"{path}/tea")
    assert listener.next()["present"] == ["ann"]
    bob = come(f"{path}/tea?nick=bob")
    assert bob.next()["present"] == ["ann", "bob"]
    ann.until(lambda event: event.get("joined") == "bob")
    assert rooms["tea"].sync.who() == ["ann", "bob"]
    again.ws.close()
    bob.ws.close()
    assert ann.until(lambda event: "left" in event) == {"left": "bob"}
    assert rooms["tea"].sync.who() == ["ann"]
    assert [event for event in ann.events if "joined" in event] == [{"joined": "ann"}, {"joined": "bob"}]
    ann.ws.close()
    assert listener.until(lambda event: event.get("left") == "ann")
    assert rooms["tea"].sync.who() == []


def test_nobody_is_told_of_without_presence(make_rooms: MakeRooms, join: Any, path: str) -> None:
    rooms = make_rooms(presence=False)
    come = join(rooms)
    ann, bob = come(f"{path}/tea?nick=ann"), come(f"{path}/tea?nick=bob")
    bob.until(lambda event: "missed" in event)
    assert rooms["tea"].sync.who() == ["ann", "bob"]
    bob.ws.send("hello")
    ann.data(1)
    assert [set(event) for event in ann.events] == [{"history", "missed"}, {"id", "data"}]


def test_who_comes_back_hears_what_was_said_meanwhile(make_rooms: MakeRooms, join: Any, path: str) -> None:
    come = join(make_rooms(history=5))
    ann, bob = come(f"{path}/tea?nick=ann"), come(f"{path}/tea?nick=bob")
    for number in range(3):
        ann.ws.send(str(number))
    bob.data(3)
    last = bob.events[-1]["id"]
    bob.ws.close()
    for number in range(3, 8):
        ann.ws.send(str(number))
    ann.data(8)
    bob = come(f"{path}/tea?nick=bob&after={last}")
    assert bob.next()["missed"] is True  # what was kept begins behind it
    assert bob.data(5) == list("34567")
    bob = come(f"{path}/tea?nick=bob&after={ann.events[-2]['id']}")
    assert bob.next() == {"present": ["ann", "bob"], "history": 1, "missed": False}
    bob.ws.send("live")
    assert bob.data(2) == ["7", "live"]
    newcomer = come(f"{path}/tea")
    assert newcomer.next()["missed"] is False
    assert newcomer.data(5) == ["4", "5", "6", "7", "live"]


@pytest.mark.parametrize("known", ["nonsense", "1-", "9" * 30 + "-0", "0-1"])
def test_an_id_that_is_none_gets_the_whole_history(make_rooms: MakeRooms, join: Any, known: str) -> None:
    rooms = make_rooms()
    rooms["tea"].sync.send_all("kept")
    one = join(rooms)(f"/a/tea?after={known}")
    assert one.next()["missed"] is True
    assert one.data(1) == ["kept"]


def test_what_is_not_kept(make_rooms: MakeRooms, join: Any, path: str) -> None:
    rooms = make_rooms()
    come = join(rooms)
    ann = come(f"{path}/tea")
    ann.next()
    ann.ws.send(".typing")
    ann.ws.send("kept")
    assert ann.next() == {"data": ".typing"}
    assert ann.next()["data"] == "kept"
    assert [message.data for message in rooms["tea"].sync.history()] == ["kept"]


def test_from_anywhere_in_the_program(make_rooms: MakeRooms, join: Any) -> None:
    rooms = make_rooms()
    one = join(rooms)("/a/tea?nick=ann")
    one.next()

    async def work() -> tuple[Any, list[str], list[Message]]:
        room = rooms["tea"]
        first = await room.send_all({"n": 1})
        await room.send_all([2])
        assert first is not None
        return first, await room.who(), await room.history(after=first)

    first, who, history = asyncio.run(work())
    assert who == ["ann"]
    assert [message.data for message in history] == [[2]]
    assert rooms["tea"].sync.send_all("passing", keep=False) is None
    assert one.data(3) == [{"n": 1}, [2], "passing"]
    assert first == next(event["id"] for event in one.events if "id" in event)


def test_nothing_is_lost_or_doubled_for_who_joins_while_others_talk(make_rooms: MakeRooms, join: Any) -> None:
    count = 300
    rooms = make_rooms(history=count, backlog=count, presence=False)
    come = join(rooms)
    talker = threading.Thread(target=lambda: [rooms["tea"].sync.send_all(n) for n in range(count)])
    talker.start()
    everyone = [come(f"{path}/tea?nick={number}") for number in range(8) for path in ("/a", "/s")]
    talker.join()
    for one in everyone:
        assert one.data(count) == list(range(count))


# -- who is slow


@pytest.mark.parametrize("slow", ["drop", "disconnect"])
def test_who_is_slow_holds_up_nobody(make_rooms: MakeRooms, join: Any, path: str, slow: str) -> None:
    rooms = make_rooms(slow=slow, backlog=4, history=0)
    come = join(rooms)
    slow_one, quick = come(f"{path}/tea"), come(f"{path}/tea")
    slow_one.next()
    quick.next()
    count, text = 60, "x" * 900_000
    for number in range(count):
        rooms["tea"].sync.send_all(f"{number} {text}")
        assert quick.next()["data"].startswith(f"{number} ")
    if slow == "drop":
        last = slow_one.until(lambda event: event.get("data", "").startswith(f"{count - 1} "))
        assert last
        got = [int(event["data"].split()[0]) for event in slow_one.events if "data" in event]
        assert got == sorted(set(got))
        dropped = sum(event["missed"] for event in slow_one.events if event.get("missed"))
        assert dropped == count - len(got) > 0
    else:
        with pytest.raises(Exception, match="1013 too slow"):
            slow_one.until(lambda event: False)


# -- what cannot be


def test_what_cannot_be() -> None:
    with pytest.raises(ConfigurationError, match="slow"):
        Rooms(slow="never")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="backlog"):
        Rooms(backlog=0)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Rooms("http://localhost")
    rooms = Rooms()
    for name in ("", "x" * 256):
        with pytest.raises(ValueError, match="1 to 255"):
            rooms[name]
    with pytest.raises(ValueError, match="surrogates"):
        rooms["\ud800"]
    with pytest.raises(TypeError):
        rooms["tea"].sync.send_all(object())


def test_the_wrong_kind_of_block(join: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Async:
        is_async = True

    with pytest.raises(ConfigurationError, match="async with"), Rooms()["tea"].join(Async()):  # type: ignore[arg-type]
        raise AssertionError


def test_empty_rooms_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstbyte.rooms.memory.MAX_EMPTY", 3)
    rooms = Rooms()
    for number in range(5):
        rooms[str(number)].sync.send_all(number)
    assert [len(rooms[str(number)].sync.history()) for number in range(5)] == [0, 0, 1, 1, 1]
