"""How a new verifier begins: with the issuer's snapshot, or with every event since the first; turn by turn.

Of each card there are a credential and two changes. Both ways end with the same mirror in a file. Times are of the
processor, so that a busy machine does not show in them; the wire is left out of both.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ecard_card.status import CardChange, EcardStatus
from ecard_sdk.device import DeviceKey
from ecard_verifier.feed import CredentialIssued, StatusChanged
from ecard_verifier.mirror import LIST_SIZE, Mirror
from tests.benchmarks.measure import row
from tests.verifier.feed_kit import signed
from tests.verifier.snapshot_kit import Given, Snapshot, beginning, folded, snapshot
from tests.world import World

CARDS = 100_000 if os.environ.get("LONG") == "1" else 5_000
ROUNDS = 3


def run() -> list[dict[str, object]]:
    """`value` is microseconds of the processor (and bytes) for one credential, `ratio` that over folding its events."""
    world = World()
    tokens = _events(world)
    with tempfile.TemporaryDirectory() as folder:
        place = iter(Path(folder) / str(number) for number in range(100))
        whole = folded(world, tokens, next(place))
        made = snapshot(world, whole, size=10**9)
        folds, takes, writes = list[float](), list[float](), list[float]()
        for _ in range(ROUNDS):
            folds.append(_spent(lambda: folded(world, tokens, next(place)).close()))
            takes.append(_spent(lambda: _taken(world, made, next(place), whole)))
            writes.append(_spent(lambda: snapshot(world, whole, size=10**9)))
        whole.close()
    fold, take, write = (min(times) / CARDS * 1e6 for times in (folds, takes, writes))
    sent = sum(len(token) + len("id: 1000000\nevent: set\ndata: \n\n") for token in tokens) / CARDS
    size = (len(made.token) + sum(map(len, made.chunks))) / CARDS
    return [
        row("snapshot", take, "us", f"folding its three events: {fold:.0f} us", take / fold),
        row("snapshot_write", write, "us", "the same", write / fold),
        row("snapshot_bytes", size, "B", f"the same of the feed: {sent:.0f}", size / sent),
    ]


def _events(world: World) -> list[str]:
    device, tokens = DeviceKey.generate(), list[str]()
    for card in range(CARDS):
        compact = world.compact(world.credential(device, credential_id=os.urandom(16)))
        uri = world.status_uri.replace("{list}", str(1 + card // LIST_SIZE))
        for body in (
            CredentialIssued(compact),
            StatusChanged(EcardStatus.SUSPENDED, uri, card % LIST_SIZE, CardChange.REPORT_LOSS, 1),
            StatusChanged(EcardStatus.VALID, uri, card % LIST_SIZE, CardChange.RELEASE, 2),
        ):
            tokens.append(signed(world, body, len(tokens) + 1))
    return tokens


def _taken(world: World, made: Snapshot, folder: Path, whole: Mirror) -> None:
    folder.mkdir()
    mirror, begin = beginning(world, folder, Given(made))
    begin.make(threading.Event())
    assert begin.error is None
    assert (mirror.position, mirror.digest) == (whole.position, whole.digest)
    mirror.close()


def _spent(work: Callable[[], object]) -> float:
    """Seconds of the processor, user and system."""
    before = time.process_time()
    work()
    return time.process_time() - before
