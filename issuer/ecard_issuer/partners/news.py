"""What a change of a card says to one partner: derived from the card's outbox row, as often as it is needed. Pure.

A partner learns its own reference of the card and what became of it: no name, no number, no place on a status list,
since an index there would tell two partners that theirs is the same card.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.effective import effective_status
from ecard_card.errors import InvalidInput
from ecard_card.jose import UnsignedJws
from ecard_card.status import CardChange, CardStatus, EcardStatus
from ecard_issuer.partners.streams import (
    CAEP_CHANGE,
    OF_STREAM,
    SSF_UPDATED,
    SSF_VERIFICATION,
    Delivery,
    NewsKind,
    Stream,
    own_event,
)
from ecard_issuer.rows import OutboxRow

EVENT_TYPE: Final = "secevent+jwt"
_WEBHOOK_TYPES: Final[Mapping[NewsKind, str]] = {
    NewsKind.STATUS: "card.status_changed",
    NewsKind.VERIFICATION: "stream.verification",
    NewsKind.UPDATED: "stream.updated",
}
_STATUS_WORDS: Final = {EcardStatus.VALID: "valid", EcardStatus.INVALID: "invalid", EcardStatus.SUSPENDED: "suspended"}


@dataclass(frozen=True, slots=True)
class CardNews:
    """One change of a card as a partner may know it. `reference` and `successor` are the partner's own names."""

    reference: str
    change: CardChange
    previous: CardStatus
    card_status: CardStatus
    status: EcardStatus
    sequence: int
    occurred_at: int  # NumericDate
    successor: str | None = None


def read_change(row: OutboxRow) -> tuple[CardChange, int]:
    """Which change a `status` row tells, and its number in the card's sequence.

    Raises `InvalidInput` `bad_outbox_row`.
    """
    try:
        return CardChange(str(row.body["change"])), _whole(row.body["sequence"])
    except (KeyError, TypeError, ValueError):
        raise _unreadable(row) from None


def card_news(row: OutboxRow, reference: str, successor: str | None = None) -> CardNews:
    """What a `status` row says. Of one without the e-card's status, written by an older version, the strict reading.

    Raises `InvalidInput` `bad_outbox_row`.
    """
    change, sequence = read_change(row)
    try:
        card_status, ecard = CardStatus(_whole(row.body["status"])), row.body.get("ecard_status")
        return CardNews(
            reference=reference,
            change=change,
            previous=CardStatus(_whole(row.body["previous"])),
            card_status=card_status,
            status=effective_status(card_status) if ecard is None else EcardStatus(_whole(ecard)),
            sequence=sequence,
            occurred_at=_whole(row.body["occurred_at"]),
            successor=successor,
        )
    except (KeyError, TypeError, ValueError):
        raise _unreadable(row) from None


def event_id(stream_id: str, outbox_id: str, kind: NewsKind) -> str:
    """The `jti`, the same whenever it is derived. Nobody without the register can compute another stream's."""
    return hashlib.sha256(f"{stream_id}\n{outbox_id}\n{kind.value}".encode()).hexdigest()[:32]


def transaction_id(stream_id: str, outbox_id: str) -> str:
    """The `txn` that all tokens of one change share within a stream."""
    return hashlib.sha256(f"{stream_id}\n{outbox_id}\ntxn".encode()).hexdigest()[:32]


def draft_token(
    stream: Stream,
    delivery: Delivery,
    card: CardNews | None,
    *,
    issuer: str,
    kid: str,
    issued_at: int,
    algorithm: Algorithm = Algorithm.ES256,
) -> UnsignedJws:
    """The unsigned Security Event Token of one delivery; `card` for news of a card, None for the stream's own."""
    claims: dict[str, object] = {"iss": issuer, "jti": delivery.event_id, "iat": issued_at, "aud": stream.partner}
    if card is not None:
        claims |= {"txn": transaction_id(stream.stream_id, delivery.outbox_id), "toe": card.occurred_at}
    subject = stream.stream_id if card is None else card.reference
    claims["sub_id"] = {"format": "opaque", "id": subject}
    claims["stream"] = {"id": stream.stream_id, "seq": delivery.number}
    claims["events"] = {_name(delivery.kind, issuer): _members(delivery, card)}
    header = {"alg": algorithm.value, "kid": kid, "typ": EVENT_TYPE}
    return UnsignedJws(jose.compact_signing_input(header, claims))


def webhook_body(stream: Stream, delivery: Delivery, card: CardNews | None, occurred: str) -> bytes:
    """The JSON body of a webhook. `occurred` is the time of the change as RFC 3339."""
    data: dict[str, object] = {"stream": stream.stream_id, "number": delivery.number}
    if card is None:
        data |= dict(delivery.note or {})
    else:
        data |= {
            "card": card.reference,
            "sequence": card.sequence,
            "event": card.change.value,
            "status": _STATUS_WORDS[card.status],
            "card_status": int(card.card_status),
        }
        if card.successor is not None:
            data["successor"] = card.successor
    return jose.dump_json({"type": _WEBHOOK_TYPES[delivery.kind], "timestamp": occurred, "data": data})


def _name(kind: NewsKind, issuer: str) -> str:
    return {
        NewsKind.STATUS: own_event(issuer),
        NewsKind.CAEP: CAEP_CHANGE,
        NewsKind.VERIFICATION: SSF_VERIFICATION,
        NewsKind.UPDATED: SSF_UPDATED,
    }[kind]


def _members(delivery: Delivery, card: CardNews | None) -> dict[str, object]:
    if card is None or delivery.kind in OF_STREAM:
        return dict(delivery.note or {})
    if delivery.kind is NewsKind.CAEP:
        return {
            "event_timestamp": card.occurred_at,
            "credential_type": "verifiable-credential",
            "change_type": "revoke" if card.status is EcardStatus.INVALID else "update",
        }
    members: dict[str, object] = {
        "status": int(card.status),
        "card_status": int(card.card_status),
        "previous_card_status": int(card.previous),
        "card_event": card.change.value,
        "sequence": card.sequence,
    }
    return members if card.successor is None else members | {"successor": card.successor}


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _unreadable(row: OutboxRow) -> InvalidInput:
    return InvalidInput("bad_outbox_row", f"a row of kind {row.kind} cannot be read")
