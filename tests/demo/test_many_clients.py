"""The demo under load: nothing is lost, nothing is there twice. The slowest test of this folder: some seconds."""

from __future__ import annotations

import http.client
import json
import threading

from firstbyte import Server

TASKS = 10_000
CLIENTS = 32


def test_ten_thousand_tasks_from_32_clients_are_all_there_once(server: Server) -> None:
    made: dict[str, int] = {}
    failures: list[object] = []

    def post(client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        try:
            connection.connect()
            kept = connection.sock
            for number in range(client, TASKS, CLIENTS):
                connection.request("POST", "/tasks", json.dumps({"title": f"task {number}"}))
                response = connection.getresponse()
                task = json.loads(response.read())
                if (response.status, task["title"]) != (201, f"task {number}"):
                    failures.append((number, response.status, task))
                made[task["title"]] = task["id"]
            if connection.sock is not kept:
                failures.append((client, "the connection was not kept"))
        except Exception as error:
            failures.append((client, error))
        finally:
            connection.close()

    clients = [threading.Thread(target=post, args=(client,)) for client in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert not failures

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/tasks")
    tasks = json.loads(connection.getresponse().read())
    connection.request("GET", "/health")
    health = json.loads(connection.getresponse().read())
    connection.close()
    assert {task["title"]: task["id"] for task in tasks} == made
    assert sorted(made) == sorted(f"task {number}" for number in range(TASKS))
    assert sorted(made.values()) == list(range(1, TASKS + 1))
    assert len(tasks) == health["tasks"] == TASKS
