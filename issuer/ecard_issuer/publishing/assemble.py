"""Publishing put together: one object of the assembled issuer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from ecard_issuer.keyring import KeyRing
from ecard_issuer.publishing.decoys import Decoys
from ecard_issuer.publishing.deltas import Deltas
from ecard_issuer.publishing.publisher import Publisher
from ecard_issuer.publishing.rebuild import Rebuild
from ecard_issuer.publishing.snapshots import FeedSnapshots
from ecard_issuer.publishing.sql import SqlDecoys, SqlDeltas
from ecard_issuer.publishing.sql_snapshots import SqlSnapshots
from ecard_issuer.publishing.sql_truth import SqlTruth
from ecard_issuer.publishing.worker import PublishingWorker, SnapshotWorker
from ecard_issuer.register import SqlRegister
from ecard_keys.desk.desk import SigningDesk


@dataclass(frozen=True, slots=True)
class Publishing:
    """All that goes out about statuses but the live feed, and snapshots of that."""

    publisher: Publisher
    deltas: Deltas
    decoys: Decoys
    rebuild: Rebuild
    worker: PublishingWorker
    snapshots: FeedSnapshots
    snapshot_worker: SnapshotWorker


def open_publishing(
    engine: Engine,
    register: SqlRegister,
    keys: KeyRing,
    signing: SigningDesk,
    clock: Callable[[], datetime],
    wake: Callable[[], None],
    *,
    ttl: int,
    life: int,
    delta_every: int,
    snapshot_hours: int,
    folder: Path,
) -> Publishing:
    """`ttl` and `life` of a list in seconds; a delta counts as long as a list. `delta_every`: seconds after which a
    change is in a delta. `snapshot_hours`: how old the newest snapshot may get, 0 for none; the issuer's own mirror,
    of which they are made, lies in `folder`. `wake` rings for the dispatcher."""
    publisher = Publisher(register, keys, signing, ttl=ttl, life=life)
    deltas = Deltas(register, SqlDeltas(engine), keys, signing, life=life, every=delta_every)
    decoys = Decoys(SqlDecoys(engine))
    rebuild = Rebuild(SqlTruth(engine, policy_of=register.policy_of), register, publisher, wake)
    every = timedelta(hours=snapshot_hours) if snapshot_hours else None
    snapshots = FeedSnapshots(
        register, SqlSnapshots(engine), keys, signing, folder / "feed-mirror.sqlite3", clock, wake, every=every
    )
    worker = PublishingWorker(publisher, deltas, decoys, clock)
    return Publishing(publisher, deltas, decoys, rebuild, worker, snapshots, SnapshotWorker(snapshots, clock))
