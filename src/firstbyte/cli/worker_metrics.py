"""`--metrics` of a server with workers: a process of its own, which asks the supervisor for the figures of all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from firstbyte.cli.metrics import OBSERVERS, observation, parse_place
from firstbyte.engine.control import GetStatus, Status, ask
from firstbyte.engine.listener import listen
from firstbyte.engine.metrics import Snapshot, merge
from firstbyte.engine.slots import READY, Slot
from firstbyte.engine.worker import Plan
from firstbyte.errors import ListenError

NAME = "metrics"
PATIENCE = 5.0  # seconds

_decode = msgspec.json.Decoder(Snapshot | None).decode


def metrics_slot(place: str, control_path: Callable[[], Path]) -> Slot:
    """The companion of a supervisor that serves metrics and health at "HOST:PORT". Raises ConfigurationError."""
    try:
        sockets = listen(*parse_place(place))
    except ListenError as error:
        raise ListenError(f"--metrics: {error}") from None

    def get_status() -> Status:
        status = ask(control_path(), GetStatus(), PATIENCE)
        assert isinstance(status, Status)
        return status

    def check() -> str | None:
        status = get_status()
        serving = [worker for worker in status.workers if worker.state == READY and worker.slot != NAME]
        return "draining" if status.stopping else None if serving else "no worker is ready"

    plan = Plan(lambda: observation(lambda: snapshots(get_status()), check), {"threads": OBSERVERS})
    return Slot(NAME, plan, sockets, outlives=True)


def snapshots(status: Status) -> Iterator[Snapshot]:
    """Those of the workers that serve, and the sum of those that have ended."""
    for worker in status.workers:
        snapshot = _decode(worker.details)
        if snapshot is not None:
            for process in snapshot.processes:
                process.worker = worker.slot
                process.started = time.time() - worker.uptime
            yield snapshot
    past = _decode(status.past)
    if past is not None:
        yield past


def add_ended(past: msgspec.Raw, last: msgspec.Raw) -> msgspec.Raw:
    """What ended workers have counted, with the last figures of one more; see `Plan.add_ended`."""
    ended = [each.ended() for each in (_decode(past), _decode(last)) if each is not None]
    return msgspec.Raw(msgspec.json.encode(merge(ended) if ended else None))
