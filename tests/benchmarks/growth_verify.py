"""Whether a verification takes longer where the mirror knows more cards, turn by turn.

Whole checks of short codes, which ask the mirror for the credential and for the status, at 10^4 cards and at 10^6
(`LONG=1`: 10^7, some gigabytes of disk).
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ecard_sdk.device import DeviceKey
from ecard_verifier.check import check
from ecard_verifier.feed import CredentialIssued
from ecard_verifier.mirror import LIST_SIZE, Mirror
from tests.benchmarks.measure import per_second, row
from tests.verifier.feed_kit import beat, believed, signed
from tests.world import World

FEW = 10**4
MANY = 10**7 if os.environ.get("LONG") == "1" else 10**6


def run() -> list[dict[str, object]]:
    """`value` is checks per second with many cards, `ratio` that over the same with few: 1 is flat."""
    world, device = World(now=datetime.now(UTC).replace(microsecond=0)), DeviceKey.generate()
    credential = world.compact(world.credential(device))
    trust, code = world.trust(), device.online_code(credential, world.now)

    def verify(mirror: Mirror) -> None:
        verdict = check(code, trust, mirror, world.now, credentials=mirror)
        assert verdict.reason == "ok", verdict.reason

    with tempfile.TemporaryDirectory() as folder:
        few, many = (_mirror(world, credential, Path(folder) / f"{cards}.sqlite3", cards) for cards in (FEW, MANY))
        slow, fast = per_second(lambda: verify(many), lambda: verify(few))
        few.close()
        many.close()
    return [row("growth_verify", slow, "1/s", f"{MANY:.0e} cards; with {FEW:.0e}: {fast:.0f}/s", slow / fast)]


def _mirror(world: World, credential: bytes, file: Path, cards: int) -> Mirror:
    """A mirror that has folded one card's event; the others are put into its file as the fold would have."""
    world.__dict__.pop("feed_digests", None)
    mirror = Mirror(file, issuer=world.issuer)
    mirror.apply(believed(world, signed(world, CredentialIssued(credential), 1)))
    mirror.apply(believed(world, beat(world, 1)))
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.executemany("INSERT INTO credential VALUES (?, ?)", _cards(cards, credential))
        losses = ((10 + number // LIST_SIZE, number % LIST_SIZE) for number in range(cards // 20))
        database.executemany("INSERT INTO status VALUES (?, ?, 2)", losses)
    database.close()
    return mirror


def _cards(cards: int, credential: bytes) -> Iterator[tuple[bytes, bytes]]:
    step = 2**128 // (cards + 1)
    for number in range(1, cards + 1):
        yield (number * step).to_bytes(16, "big"), credential
