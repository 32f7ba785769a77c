"""A feed in memory for tests: the events that a `World`'s issuer would sign, and a source that can fail on cue."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime

from ecard_card import jose
from ecard_card.errors import Unavailable
from ecard_card.status import CardChange, EcardStatus
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose
from ecard_verifier.feed import (
    FIRST,
    EventBody,
    FeedBeat,
    FeedEvent,
    KeyCompromised,
    StatusChanged,
    digest_of,
    draft_event,
    verify_event,
)
from ecard_verifier.mirror import Mirror
from tests.world import World, seconds


def signed(
    world: World,
    body: EventBody,
    seq: int,
    *,
    at: datetime | None = None,
    signer: EphemeralSigner | None = None,
    issuer: str | None = None,
    event_id: str | None = None,
    stream: str = "0",
    previous: str | None = None,
) -> str:
    """The JWS of `body` as the world's issuer signs it, chained to the event signed here with the number before."""
    signer = signer or world.event_key
    digests: dict[int, str] = world.__dict__.setdefault("feed_digests", {})
    before = seq if isinstance(body, FeedBeat) else seq - 1
    draft = draft_event(
        body,
        issuer=issuer or world.issuer,
        kid=signer.key_id,
        event_id=event_id or f"event-{seq}",
        issued_at=seconds(at or world.now),
        seq=seq,
        previous=previous or digests.get(before, FIRST),
        stream=stream,
    )
    if not isinstance(body, FeedBeat):
        digests[seq] = digest_of(draft.signing_input)
    return draft.complete(signer.sign(signer.key_id, [draft.signing_input])[0])


def beat(world: World, seq: int, at: datetime | None = None) -> str:
    return signed(world, FeedBeat(seconds(at or world.now)), seq, at=at)


def change(world: World, status: EcardStatus, index: int = 7, list_id: int = 1) -> StatusChanged:
    uri = world.status_uri.replace("{list}", str(list_id))
    return StatusChanged(status, uri, index, CardChange.REPORT_LOSS, 1)


def denial(key: EphemeralSigner, purpose: KeyPurpose, cut_off: int | None = None) -> KeyCompromised:
    """What an issuer says of a stolen key."""
    record = key.record(purpose)
    return KeyCompromised(record.kid, purpose, jose.thumbprint(jose.jwk_of(record.public)), cut_off)


def believed(world: World, text: str) -> FeedEvent:
    return verify_event(text, world.trust(), world.now)


def caught_up(world: World, mirror: Mirror | None = None) -> Mirror:
    """A mirror that has heard a beat and nothing else."""
    mirror = mirror or Mirror(":memory:", issuer=world.issuer)
    mirror.apply(believed(world, beat(world, mirror.position)))
    return mirror


def wait_for(condition: Callable[[], bool], limit: float = 10) -> None:
    """Until `condition` holds, looking often; fails after `limit` seconds."""
    tick = threading.Event()
    for _ in range(int(limit / 0.005)):
        if condition():
            return
        tick.wait(0.005)
    raise AssertionError("it did not come to pass in time")


class ScriptedFeed:
    """A `FeedSource` that plays one script per connection; a code as item breaks off. Remembers `since`.

    After the last script it waits for `stop`, as a silent line would.
    """

    def __init__(self, *scripts: list[str | Unavailable]) -> None:
        self._scripts = list(scripts)
        self.asked: list[int] = []
        self.finished = threading.Event()
        self.stop = threading.Event()

    def events(self, since: int, /) -> Iterator[str]:
        self.asked.append(since)
        if not self._scripts:
            self.finished.set()
            self.stop.wait(10)
            return
        for item in self._scripts.pop(0):
            if isinstance(item, Unavailable):
                raise item
            yield item
