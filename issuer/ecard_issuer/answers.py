"""From the issuer's values to the answers of its routes and commands. Nothing about a holder passes here."""

from __future__ import annotations

from datetime import datetime

from ecard_card import jose
from ecard_card.card import Card, ChipAssurance
from ecard_card.status import EcardStatus
from ecard_issuer.enrol import ExaminedChip, OpenEnrolment, ProvenEnrolment
from ecard_issuer.issue import IssuedCredential
from ecard_issuer.operators import NewOperator
from ecard_issuer.ports import Cards
from ecard_issuer.rows import CardRow, ChangeResult, OperatorRow
from ecard_verifier.verdict import rfc3339

Json = dict[str, object]


def registration_warnings(card: Card) -> list[str]:
    """What is odd about a card and no error. A wrong check character only warns: cards with one are in use."""
    return [] if card.number.check_holds else ["card_number_check"]


def registered_answer(register: Cards, card_ref: str, card: Card, now: datetime) -> Json:
    """A `RegisteredCard`."""
    return card_answer(register, register.get_card(card_ref), now) | {"warnings": registration_warnings(card)}


def card_answer(register: Cards, card: CardRow, now: datetime) -> Json:
    """A `CardAnswer`."""
    binding = register.find_binding(card.card_ref)
    return {
        "card_ref": card.card_ref,
        "region": card.region,
        "chip_profile": card.chip_profile,
        "status": int(card.status),
        "ecard_status": register.effect_of(card, now).name.lower(),
        "holder_locked": card.holder_locked,
        "consented": card.consented,
        "sequence": card.sequence,
        "issued_on": card.issued_on.isoformat(),
        "expires_on": card.expires_on.isoformat(),
        "ecard_id": binding.ecard_id if binding else None,
        "binding": binding.state.value if binding else None,
        "chip_assurance": binding.assurance.label if binding else None,
        "credentials": [
            {
                "credential_id": row.credential_id.hex(),
                "state": row.state.value,
                "key_id": row.key_id,
                "status_list": row.list_id,
                "status_index": row.index,
                "issued_at": rfc3339(row.issued_at),
                "expires_at": rfc3339(row.expires_at),
            }
            for row in register.credentials_of(card.card_ref)
        ],
    }


def change_answer(register: Cards, result: ChangeResult, now: datetime, event_id: str | None = None) -> Json:
    """A `ChangeAnswer`; `event_id` is what the caller calls the event. The reason stays in the register."""
    event = result.event
    return {
        "applied": result.applied,
        "card_ref": event.card_ref,
        "change": event.change.value,
        "previous": int(event.previous),
        "status": int(event.status),
        "ecard_status": register.effect_of(register.get_card(event.card_ref), now).name.lower(),
        "sequence": event.sequence,
        "source": event.source,
        "source_sequence": event.source_sequence,
        "event_id": event_id or event.event_id,
        "missed": event.missed,
        "occurred_at": rfc3339(event.occurred_at),
        "recorded_at": rfc3339(event.recorded_at),
    }


def enrolment_answer(opened: OpenEnrolment) -> Json:
    """An `EnrolmentAnswer`."""
    return {
        "enrolment_id": opened.enrolment_id,
        "challenge": opened.challenge.digest().hex(),
        "expires_at": rfc3339(opened.expires_at),
    }


def proven_answer(proven: ProvenEnrolment) -> Json:
    """A `ProvenAnswer`."""
    return {
        "enrolment_id": proven.enrolment_id,
        "card_ref": proven.card_ref,
        "chip_assurance": proven.assurance.label,
        "usable_until": rfc3339(proven.usable_until),
    }


def examined_answer(register: Cards, examined: ExaminedChip, now: datetime) -> Json:
    """A `ChipCheckAnswer`. Green needs all: a chip that proved itself, bound, and a status that permits use."""
    shown = card_answer(register, examined.card, now)
    bound = shown["binding"] == "live"
    usable = register.effect_of(examined.card, now) is EcardStatus.VALID
    if not usable:
        outcome, finding = "invalid", "card_stopped"
    elif not bound:
        moved = shown["binding"] == "awaiting"
        outcome, finding = "check", "ecard_awaits_chip" if moved else "no_ecard"
    elif examined.assurance < ChipAssurance.CHALLENGE:
        outcome, finding = "check", "chip_not_proven"
    else:
        outcome, finding = "valid", "same"
    return {**shown, "outcome": outcome, "finding": finding, "proven_now": examined.assurance.label}


def credential_answer(issued: IssuedCredential) -> Json:
    """A `CredentialAnswer`. The one answer with the holder's data in it, for the holder's own device."""
    return {
        "ecard_id": issued.ecard_id,
        "credential_id": issued.credential_id.hex(),
        "sd_jwt": issued.sd_jwt,
        "cwt": jose.b64url_encode(issued.cwt),
        "status": {"uri": issued.status.uri, "list_id": issued.status.list_id, "index": issued.status.index},
        "chip_assurance": issued.assurance.label,
        "expires_at": rfc3339(issued.expires_at),
    }


def operator_answer(row: OperatorRow) -> Json:
    """A caller without their token, which nobody has."""
    return {
        "name": row.name,
        "role": row.role,
        "created_at": rfc3339(row.created_at),
        "revoked_at": rfc3339(row.revoked_at) if row.revoked_at else None,
    }


def new_operator_answer(made: NewOperator) -> Json:
    """A caller just made, with the token that is shown this once."""
    return {"name": made.name, "role": made.role.value, "token": made.token}
