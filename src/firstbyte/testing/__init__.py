"""The test client: a client's Session that talks to one app in memory, as the server would, with no socket.

from firstbyte.testing import TestClient

with TestClient(app) as client:
    assert client.get("/tasks").json() == []

"""

from __future__ import annotations

from firstbyte.testing.client import TestClient

__all__ = ["TestClient"]
