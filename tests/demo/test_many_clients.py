"""The demo under load: nothing is lost, nothing is there twice. The slowest test of this folder: some seconds."""

from __future__ import annotations

import json
import threading
from typing import Any

from engine.support import Client
from firstbyte import Server

TASKS = 10_000
CLIENTS = 32


def test_ten_thousand_tasks_from_32_clients_are_all_there_once(server: Server) -> None:
    made: dict[str, int] = {}
    failures: list[object] = []

    def post(first: int) -> None:
        client = Client(server.port)  # one connection, which must be kept
        try:
            for number in range(first, TASKS, CLIENTS):
                body = json.dumps({"title": f"task {number}"})
                client.send(f"POST /tasks HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
                status, _, answer = client.read()
                task = json.loads(answer)
                if (status, task["title"]) != (201, f"task {number}"):
                    failures.append((number, status, task))
                made[task["title"]] = task["id"]
        except Exception as error:
            failures.append((first, error))
        finally:
            client.close()

    posting = [threading.Thread(target=post, args=(first,)) for first in range(CLIENTS)]
    for thread in posting:
        thread.start()
    for thread in posting:
        thread.join()
    assert not failures

    def got(path: str) -> Any:
        return json.loads(client.get(path).read()[2])

    client = Client(server.port)
    tasks, health = got("/tasks"), got("/health")
    client.close()
    assert {task["title"]: task["id"] for task in tasks} == made
    assert sorted(made) == sorted(f"task {number}" for number in range(TASKS))
    assert sorted(made.values()) == list(range(1, TASKS + 1))
    assert len(tasks) == health["tasks"] == TASKS
