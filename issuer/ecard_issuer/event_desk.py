"""Signing the issuer's events: what an outbox row means to the world, as Security Event Tokens of the feed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput
from ecard_card.status import CardChange, EcardStatus
from ecard_issuer.keyring import IssuerIdentity
from ecard_issuer.rows import OutboxRow
from ecard_issuer.states import OutboxKind
from ecard_keys.desk.desk import SigningDesk, SigningProfile
from ecard_keys.key import KeyPurpose, KeyRecord
from ecard_keys.status_uri import list_uri
from ecard_verifier.feed import (
    CredentialIssued,
    EventBody,
    FeedBeat,
    KeyCompromised,
    OtherEvent,
    SnapshotMade,
    StatusChanged,
    TrustListPublished,
    digest_of,
    draft_event,
)

#: The event of a row that tells verifiers nothing, for a card without credentials. It takes a number all the same, so
#: that each row is settled with its events in one transaction.
NOTHING_PUBLIC: Final = "nothing-public"


class EventKeys(Protocol):
    """Which key signs events at a given time."""

    def event_key(self, now: datetime) -> KeyRecord: ...


class EventDesk:
    """Signs the issuer's events and beats."""

    def __init__(
        self,
        signing: SigningDesk,
        keys: EventKeys,
        identity: IssuerIdentity,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._signing = signing
        self._keys = keys
        self._identity = identity
        self._new_id = new_id

    def sign(self, bodies: Sequence[EventBody], after: int, previous: str, now: datetime) -> list[str]:
        """Signed events numbered `after` + 1, `after` + 2 …, chained from event `after`; one batch at the signer."""
        return self._signed([(body, after + place) for place, body in enumerate(bodies, 1)], previous, now)

    def beat(self, seq: int, previous: str, at: datetime, now: datetime) -> str:
        """Says that at `at` there was no event beyond `seq`; `previous` is that event's digest."""
        return self._signed([(FeedBeat(int(at.timestamp())), seq)], previous, now)[0]

    def bodies(self, row: OutboxRow) -> list[EventBody]:
        """The events that an outbox row stands for, at least one. Raises `InvalidInput` `bad_outbox_row`."""
        try:
            return self._bodies(row)
        except (KeyError, TypeError, ValueError):
            raise InvalidInput("bad_outbox_row", f"a row of kind {row.kind} cannot be read") from None

    def _bodies(self, row: OutboxRow) -> list[EventBody]:
        body = row.body
        match row.kind:
            case OutboxKind.ISSUED:
                return [CredentialIssued(jose.b64url_decode(str(body["cwt"])))]
            case OutboxKind.TRUST_LIST:
                return [TrustListPublished(_whole(body["version"]))]
            case OutboxKind.SNAPSHOT:
                return [SnapshotMade(_whole(body["number"]), str(body["digest"]))]
            case OutboxKind.STATUS:
                changes = [
                    self._changed(entry, CardChange(str(body["change"])), _whole(body["sequence"]))
                    for entry in _entries(body["entries"])
                ]
                return changes or [OtherEvent(NOTHING_PUBLIC)]
            case OutboxKind.ENDED:  # no event of the card: its sequence counts from 1
                return [self._changed(body, CardChange.CANCEL, 0)]
            case OutboxKind.KEY_COMPROMISED:
                return [_compromised(body)]
            case OutboxKind.REBOUND:  # the old card's status row said what verifiers must know
                return [OtherEvent(NOTHING_PUBLIC)]

    def _changed(self, entry: Mapping[str, object], change: CardChange, sequence: int) -> EventBody:
        return StatusChanged(
            EcardStatus(_whole(entry["value"])),
            list_uri(self._identity.status_uri, _whole(entry["list_id"])),
            _whole(entry["index"]),
            change,
            sequence,
        )

    def _signed(self, events: Sequence[tuple[EventBody, int]], previous: str, now: datetime) -> list[str]:
        key = self._keys.event_key(now)
        drafts = []
        for body, seq in events:
            draft = draft_event(
                body,
                issuer=self._identity.issuer,
                kid=key.kid,
                event_id=self._new_id(),
                issued_at=int(now.timestamp()),
                seq=seq,
                previous=previous,
                algorithm=Algorithm(key.algorithm),
            )
            drafts.append(draft)
            previous = digest_of(draft.signing_input)
        messages = [draft.signing_input for draft in drafts]
        signatures = self._signing.sign(SigningProfile.EVENT, key.kid, messages, now)
        return [draft.complete(signature) for draft, signature in zip(drafts, signatures, strict=True)]


def _compromised(body: Mapping[str, object]) -> EventBody:
    algorithm = Algorithm(str(body["algorithm"]))
    jwk = jose.jwk_of(jose.b64url_decode(str(body["public"])), algorithm)
    cut_off = body["cut_off"]
    return KeyCompromised(
        str(body["kid"]),
        KeyPurpose(str(body["purpose"])),
        jose.thumbprint(jwk),
        None if cut_off is None else _whole(cut_off),
    )


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _entries(value: object) -> list[Mapping[str, object]]:
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise TypeError
    return value
