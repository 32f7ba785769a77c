"""Snapshots for tests: what a `World`'s issuer would make of a mirror, and a source that can fail on cue."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from ecard_card import feed_snapshot
from ecard_card.errors import NotFound, Unavailable
from ecard_card.feed_snapshot import Chunk, Kind, Manifest
from ecard_card.status import EcardStatus
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose
from ecard_sdk.device import DeviceKey
from ecard_verifier.beginning import Beginning
from ecard_verifier.feed import CredentialIssued, EventBody, OtherEvent, SnapshotMade
from ecard_verifier.mirror import Mirror
from ecard_verifier.trust_source import FixedTrust, TrustProvider
from tests.verifier.feed_kit import beat, believed, change, denial, signed
from tests.world import World, seconds

TABLES = ("fold", "status", "credential", "denied_key", "awaited")


def rows_of(mirror: Mirror) -> dict[str, list[tuple[object, ...]]]:
    """Every table of a mirror's file."""
    return {name: mirror._db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in TABLES}  # noqa: S608 - ours


def past(world: World, drawn: random.Random, count: int, first: int = 1) -> list[str]:
    """So many events, signed and chained: credentials, changes back and forth, ends, stolen keys, unknown types."""
    device, keys = DeviceKey.generate(), [EphemeralSigner() for _ in range(3)]
    tokens = []
    for seq in range(first, first + count):
        body: EventBody
        match drawn.randrange(10):
            case 0 | 1 | 2:
                body = CredentialIssued(world.compact(world.credential(device, credential_id=drawn.randbytes(16))))
            case 3:
                cut_off = drawn.choice((None, drawn.randrange(1, 10**9)))
                body = denial(drawn.choice(keys), KeyPurpose.CREDENTIAL, cut_off)
            case 4:
                body = OtherEvent("of-a-later-version")
            case _:
                body = change(world, drawn.choice(list(EcardStatus)), drawn.randrange(40), drawn.choice((1, 2, 900)))
        tokens.append(signed(world, body, seq))
    return tokens


def folded(world: World, tokens: Sequence[str], path: Path | str = ":memory:") -> Mirror:
    """The mirror that has heard these events, and no beat."""
    mirror = Mirror(path, issuer=world.issuer)
    for token in tokens:
        mirror.apply(believed(world, token))
    return mirror


@dataclass
class Snapshot:
    """What an issuer gives out."""

    token: str
    manifest: Manifest
    chunks: list[bytes] = field(repr=False)

    @property
    def digest(self) -> str:
        return feed_snapshot.sealed(self.token).digest

    def named(self, world: World, seq: int) -> str:
        """The event by which the feed names it."""
        return signed(world, SnapshotMade(self.manifest.number, self.digest), seq)


def manifest_of(world: World, mirror: Mirror, pieces: Sequence[tuple[Kind, bytes]], **about: object) -> Manifest:
    manifest = Manifest(
        issuer=world.issuer,
        issued_at=seconds(world.now),
        stream="0",
        number=1,
        status_uri=world.status_uri,
        seq=mirror.position,
        digest=mirror.digest,
        as_of=seconds(world.now),
        chunks=tuple(Chunk.of(kind, data) for kind, data in pieces),
    )
    return replace(manifest, **about)  # type: ignore[arg-type]


def sign(manifest: Manifest, signer: EphemeralSigner) -> str:
    draft = feed_snapshot.draft(manifest, signer.key_id)
    return draft.complete(signer.sign(signer.key_id, [draft.signing_input])[0])


def pieces_of(mirror: Mirror, size: int) -> list[tuple[Kind, bytes]]:
    """The fold in chunks of at most `size` rows."""
    credentials, statuses, denials = list(mirror.credentials()), list(mirror.statuses()), list(mirror.denials())
    found = []
    for place in range(0, len(credentials), size):
        found += [(Kind.CREDENTIALS, one) for one in feed_snapshot.credential_chunks(credentials[place : place + size])]
    for place in range(0, len(statuses), size):
        found += [(Kind.STATUSES, one) for one in feed_snapshot.status_chunks(statuses[place : place + size])]
    return [*found, *((Kind.DENIED_KEYS, one) for one in feed_snapshot.denied_chunks(denials))]


def snapshot(
    world: World, mirror: Mirror, *, size: int = 7, signer: EphemeralSigner | None = None, **about: object
) -> Snapshot:
    """As the world's issuer makes it, but for what `about` says of the manifest."""
    pieces = pieces_of(mirror, size)
    manifest = manifest_of(world, mirror, pieces, **about)
    return Snapshot(sign(manifest, signer or world.event_key), manifest, [data for _, data in pieces])


class Given:
    """A `SnapshotSource` without a wire. `faults` are what happens, one after the other, instead of giving a chunk;
    `asked` remembers which were."""

    def __init__(self, *snapshots: Snapshot) -> None:
        self.snapshots = list(snapshots)
        self.faults: dict[int, list[Exception]] = {}
        self.asked: list[tuple[int, int]] = []
        self.manifests = 0
        self.before: Callable[[int], None] = lambda place: None

    def manifest(self) -> str | None:
        self.manifests += 1
        return self.snapshots[-1].token if self.snapshots else None

    def chunk(self, number: int, place: int, chunk: Chunk, /) -> bytes:
        self.asked.append((number, place))
        self.before(place)
        if self.faults.get(place):
            raise self.faults[place].pop(0)
        for one in self.snapshots:
            if one.manifest.number == number:
                return one.chunks[place]
        raise NotFound("feed_snapshot_gone", "gone")


class Away:
    """A `SnapshotSource` that never answers."""

    def manifest(self) -> str | None:
        raise Unavailable("feed_snapshot_unavailable", "away")

    def chunk(self, number: int, place: int, chunk: Chunk, /) -> bytes:
        raise Unavailable("feed_snapshot_unavailable", "away")


def beginning(
    world: World,
    folder: Path,
    source: object,
    *,
    mirror: Mirror | None = None,
    trust: TrustProvider | None = None,
    now: datetime | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[Mirror, Beginning]:
    """An empty mirror in `folder`, and how it begins."""
    mirror = mirror or Mirror(folder / "mirror.sqlite3", issuer=world.issuer)
    moment = now or world.now
    made = Beginning(
        mirror,
        world.issuer,
        source,  # type: ignore[arg-type]
        trust or FixedTrust(world.trust()),
        lambda: moment,
        folder / "mirror.sqlite3.snapshot",
        monotonic=monotonic,
    )
    return mirror, made


def reached(world: World, mirror: Mirror, tokens: Sequence[str], at: datetime | None = None) -> Mirror:
    """The mirror after these events and a beat."""
    for token in tokens:
        mirror.apply(believed(world, token))
    mirror.apply(believed(world, beat(world, mirror.position, at)))
    return mirror
