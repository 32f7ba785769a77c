"""The sections of an export that the register itself fills: person, cards and their events, and the exports made
before; what rests on proofs of chips is in `proof_data`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ecard_issuer.people import People, Seal
from ecard_issuer.ports import Cards
from ecard_issuer.privacy.proof_data import BindingsData, CardPapers, CredentialsData, EnrolmentsData, cards_of
from ecard_issuer.privacy.values import Exports
from ecard_issuer.rows import CardRow, HolderRow
from ecard_issuer.subject_data import SubjectData
from ecard_verifier.verdict import rfc3339

Records = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class PersonData:
    """Who they are."""

    people: People
    section: str = "person"

    def of_holder(self, holder: HolderRow, seal: Seal) -> Records:
        person = self.people.person(holder)
        return [{"id_number": person.id_number.text, "name": person.name}]


@dataclass(frozen=True, slots=True)
class CardsData:
    """Their cards, ended ones too."""

    register: Cards
    section: str = "cards"

    def of_holder(self, holder: HolderRow, seal: Seal) -> Records:
        return [self._card(card, seal) for card in cards_of(self.register, holder)]

    def _card(self, card: CardRow, seal: Seal) -> Mapping[str, object]:
        chip = json.loads(seal.open(card.sealed_identity, f"card/{card.card_ref}"))
        return {
            "card_ref": card.card_ref,
            "card_number": chip["number"],
            "identification_code": chip["code"],
            "region": card.region,
            "chip_profile": card.chip_profile,
            "chip_key_known": card.chip_key_ref is not None,
            "status": int(card.status),
            "issued_on": card.issued_on.isoformat(),
            "expires_on": card.expires_on.isoformat(),
            "registered_at": rfc3339(card.created_at),
            "updated_at": rfc3339(card.updated_at),
        }


@dataclass(frozen=True, slots=True)
class EventsData:
    """What happened to their cards."""

    register: Cards
    section: str = "events"

    def of_holder(self, holder: HolderRow, seal: Seal) -> Records:
        return [
            {
                "card_ref": event.card_ref,
                "sequence": event.sequence,
                "event_id": event.event_id,
                "change": event.change.value,
                "previous": int(event.previous),
                "status": int(event.status),
                "occurred_at": rfc3339(event.occurred_at),
                "recorded_at": rfc3339(event.recorded_at),
                "reason": event.reason,
                "successor": event.successor,
            }
            for card in cards_of(self.register, holder)
            for event in self.register.events_of(card.card_ref)
        ]


@dataclass(frozen=True, slots=True)
class ExportsData:
    """Who was given their data before."""

    store: Exports
    section: str = "exports"

    def of_holder(self, holder: HolderRow, seal: Seal) -> Records:
        return [
            {
                "export_id": row.export_id,
                "caller": row.caller,
                "ground": row.ground.value,
                "mandate_id": row.mandate_id,
                "made_at": rfc3339(row.made_at),
            }
            for row in self.store.of(holder.holder_ref)
        ]


def core_sections(people: People, register: Cards, papers: CardPapers, exports: Exports) -> tuple[SubjectData, ...]:
    """All of the above, in the order in which a person reads them."""
    return (
        PersonData(people),
        CardsData(register),
        EventsData(register),
        BindingsData(register, papers),
        CredentialsData(register, papers),
        EnrolmentsData(register, papers),
        ExportsData(exports),
    )
