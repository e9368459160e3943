"""WebSockets of the client, by both kinds of session: against our server, the `websockets` library's, and raw ones."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.server as theirs

from client.support import WAIT, MakeFace, MakeRaw
from client.websocket_support import chat_app, leave, shaking
from engine.certificates import authority_file, pair
from engine.support import Serve
from firstbyte import client
from firstbyte.client.websocket import http_url
from firstbyte.engine.tls import TLS
from firstbyte.errors import BadResponse, ClientError, InvalidRequest, ServerClosed, WebSocketRefused
from firstbyte.wire.websocket.deflate import Deflate

MESSAGES: list[str | bytes] = ["", "hello", "κόσμε" * 100, b"", bytes(range(256)) * 1000, "x" * 300_000]


@contextmanager
def their_server() -> Iterator[str]:
    def echo(ws: theirs.ServerConnection) -> None:
        for message in ws:
            ws.send(message)

    with theirs.serve(echo, "127.0.0.1", 0, subprotocols=["v2"]) as server:  # type: ignore[list-item]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/echo"
        finally:
            server.shutdown()
            thread.join(WAIT)


@pytest.fixture(params=["ours", "theirs"])
def echo(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "ours":
        yield f"{request.getfixturevalue('chat_url')}/echo"
    else:
        with their_server() as url:
            yield url


# -- what works


@pytest.mark.parametrize("deflate", [None, Deflate(), Deflate(True, True, 9, 9, threshold=0)], ids=["no", "yes", "bit"])
def test_messages_both_ways(echo: str, face: MakeFace, deflate: Deflate | None) -> None:
    session = face()
    with session.websocket(echo, deflate=deflate, subprotocols=["v3", "v2"]) as ws:
        assert ws.subprotocol == "v2"
        assert ws.response.status == 101
        assert ws.response.request.url.scheme == "http"
        assert ("permessage-deflate" in ws.response.headers.get("sec-websocket-extensions", "")) is bool(deflate)
        for message in MESSAGES:
            ws.send(message)
            assert ws.receive() == message
        for message in MESSAGES:
            ws.send(message)
        assert [ws.receive() for _ in MESSAGES] == MESSAGES
        ws.send_json({"a": [1]})
        assert ws.receive() == '{"a":[1]}'
        assert session.session.pool.open_connections == 1
        assert not ws.closed
        assert ws.close_code is None
    assert ws.close_code == 1000
    assert session.session.pool.open_connections == 0


def test_through_tls(serve: Serve, face: MakeFace, tmp_path: Path) -> None:
    port = serve(chat_app(), tls=TLS(*pair(tmp_path, "localhost"))).server.port
    with face(verify=authority_file(tmp_path)).websocket(f"wss://localhost:{port}/echo") as ws:
        for message in MESSAGES:
            ws.send(message)
            assert ws.receive() == message
        for message in MESSAGES:
            ws.send(message)
        assert [ws.receive() for _ in MESSAGES] == MESSAGES


def test_it_is_a_request_as_any_other(chat_url: str, face: MakeFace) -> None:
    session = face(base_url=http_url(chat_url), cookies={"a": "1"}, headers={"X-Token": "t"})
    with session.websocket("/who", auth=("u", "p"), headers={"Origin": http_url(chat_url)}) as ws:
        assert ws.receive() == (
            f'{{"cookie":"a=1","authorization":"Basic dTpw","x-token":"t","origin":"{http_url(chat_url)}"}}'
        )
    with session.websocket("/moved") as ws:
        assert [each.status for each in ws.response.history] == [302]
        assert session.session.cookies["seen"] == "1"
        ws.send("hello")
        assert ws.receive() == "hello"
    assert session.get("/http").text == "hello"


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("ws://a/b?c", "http://a/b?c"),
        ("WSS://a", "https://a"),
        ("ws+unix://%2Fx/y", "http+unix://%2Fx/y"),
        ("http://a", "http://a"),
        ("/a?u=ws://b", "/a?u=ws://b"),
    ],
)
def test_the_url_of_http(url: str, meant: str) -> None:
    assert http_url(url) == meant


def test_one_function_for_one_websocket(chat_url: str) -> None:
    with client.websocket(f"{chat_url}/echo") as ws:
        ws.send("hello")
        assert ws.receive() == "hello"
        with pytest.raises(TimeoutError, match=r"in 0\.001 s"):
            ws.receive(0.001)


def test_threads_send_at_once(chat_url: str) -> None:
    count, each = 4, 40
    with client.websocket(f"{chat_url}/echo") as ws:
        threads = [
            threading.Thread(target=lambda n=n: [ws.send(f"{n}" * 3000) for _ in range(each)]) for n in range(count)
        ]
        for thread in threads:
            thread.start()
        got = [ws.receive(WAIT) for _ in range(count * each)]
        for thread in threads:
            thread.join(WAIT)
    assert sorted(got) == sorted(f"{n}" * 3000 for n in range(count) for _ in range(each))


def test_tasks_send_at_once_through_tls(serve: Serve, tmp_path: Path) -> None:
    port = serve(chat_app(), tls=TLS(*pair(tmp_path, "localhost"))).server.port
    texts = [f"{n}" * 100_000 for n in range(8)]

    async def talk() -> list[Any]:
        async with (
            client.AsyncSession(verify=authority_file(tmp_path)) as session,
            session.websocket(f"wss://localhost:{port}/echo", deflate=None) as ws,
            asyncio.TaskGroup() as group,
        ):
            for text in texts:
                group.create_task(ws.send(text))
            return [await ws.receive() for _ in texts]

    assert sorted(asyncio.run(talk())) == texts


# -- how it is refused


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [("/nothing", 404, "nothing is at /nothing"), ("/http", 200, "hello"), ("/problem", 403, "members only")],
)
def test_a_refusal_shows_the_answer(chat_url: str, face: MakeFace, path: str, status: int, said: str) -> None:
    session = face()
    with (
        pytest.raises(WebSocketRefused, match=f"{status} .*") as raised,
        session.websocket(chat_url + path, headers={"Accept": "application/json"}),
    ):
        raise AssertionError
    assert raised.value.response.status == status
    assert said in raised.value.response.text
    if status >= 400:
        assert said in str(raised.value)
    assert session.session.pool.open_connections <= 1  # a refusal's connection is kept, if anything
    assert session.get(f"{http_url(chat_url)}/http").ok


def test_what_cannot_be_offered(chat_url: str, face: MakeFace) -> None:
    for subprotocols in (["a b"], ["a", "a"]):
        with pytest.raises(InvalidRequest, match="subprotocols"), face().websocket(chat_url, subprotocols=subprotocols):
            raise AssertionError
    with pytest.raises(InvalidRequest, match="scheme"), face().websocket("ftp://a/"):
        raise AssertionError


def test_an_app_in_memory_has_no_connection_to_give(face: MakeFace) -> None:
    with pytest.raises(ClientError, match="in memory"), face(app=chat_app()).websocket("/echo"):
        raise AssertionError


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"accept": "x"}, "websocket-accept"),
        ({"more": "Sec-WebSocket-Protocol: v9\r\n"}, "websocket-protocol"),
        ({"more": "Sec-WebSocket-Extensions: x\r\n"}, "websocket-extensions"),
    ],
)
def test_an_answer_that_fits_no_offer(raw: MakeRaw, face: MakeFace, options: dict[str, str], rule: str) -> None:
    session = face()
    with pytest.raises(BadResponse) as raised, session.websocket(raw(shaking(leave, **options)).url):
        raise AssertionError
    assert raised.value.rule == rule
    assert session.session.pool.open_connections == 0


def test_a_server_that_leaves_within_the_handshake(raw: MakeRaw, face: MakeFace) -> None:
    with pytest.raises(ServerClosed), face().websocket(raw(lambda sock: None).url):
        raise AssertionError
