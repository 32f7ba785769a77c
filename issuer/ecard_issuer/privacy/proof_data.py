"""The sections of an export that rest on proofs of chips: bindings, credentials, and the proofs themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ecard_card import jose, sd_jwt
from ecard_card.errors import Unavailable
from ecard_issuer.draft import seal_context
from ecard_issuer.people import Seal
from ecard_issuer.ports import Cards
from ecard_issuer.rows import BindingRow, CardRow, EndedBindingRow, EnrolmentRow, HolderRow, PlanRow
from ecard_verifier.verdict import rfc3339

Records = Sequence[Mapping[str, object]]
_GONE: Final = "purged"


class CardPapers(Protocol):
    """What hangs on a card besides `Cards`."""

    def plans_of(self, card_ref: str) -> tuple[PlanRow, ...]:
        """In order of time."""
        ...

    def enrolments_of(self, card_ref: str) -> tuple[EnrolmentRow, ...]:
        """In order of time."""
        ...


@dataclass(frozen=True, slots=True)
class BindingsData:
    """Which e-card was bound to which of their cards, and by which proof."""

    register: Cards
    papers: CardPapers
    section: str = "bindings"

    def of_holder(self, holder: HolderRow, seal: Seal) -> Records:
        cards = cards_of(self.register, holder)
        proofs = self._proofs(cards)
        records = []
        for card in cards:
            for ended in self.register.ended_bindings(card.card_ref):
                records.append(_binding(ended, "ended", rfc3339(ended.ended_at), seal, proofs))
            bound = self.register.find_binding(card.card_ref)
            if bound is not None:
                records.append(_binding(bound, bound.state.value, None, seal, proofs))
        return records

    def _proofs(self, cards: Iterable[CardRow]) -> tuple[str, ...]:
        """The enrolments that a binding of these cards may rest on: a replacement carries one to the next card."""
        names: dict[str, None] = {}
        for card in cards:
            names |= dict.fromkeys(plan.enrolment_id for plan in self.papers.plans_of(card.card_ref))
            names |= dict.fromkeys(row.enrolment_id for row in self.papers.enrolments_of(card.card_ref))
        return tuple(names)


@dataclass(frozen=True, slots=True)
class CredentialsData:
    """Their credentials with all they say, and what was planned and came to nothing."""

    register: Cards
    papers: CardPapers
    section: str = "credentials"

    def of_holder(self, holder: HolderRow, seal: Seal) -> Records:
        records: list[Mapping[str, object]] = []
        for card in cards_of(self.register, holder):
            issued = self.register.credentials_of(card.card_ref)
            for row in issued:
                token = seal.open(row.sealed_sd_jwt, seal_context(row.credential_id)).decode()
                records.append(
                    {
                        "card_ref": row.card_ref,
                        "credential_id": row.credential_id.hex(),
                        "ecard_id": row.ecard_id,
                        "state": row.state.value,
                        "key_id": row.key_id,
                        "status_list": row.list_id,
                        "status_index": row.index,
                        "chip_assurance": row.assurance.label,
                        "device_key_thumbprint": jose.b64url_encode(row.device_key_thumbprint),
                        "issued_at": rfc3339(row.issued_at),
                        "expires_at": rfc3339(row.expires_at),
                        "replaced_by": row.replaced_by.hex() if row.replaced_by else None,
                        "claims": dict(sd_jwt.parse(token).payload),
                        "cwt": jose.b64url_encode(row.cwt),
                    }
                )
            kept = {row.credential_id for row in issued}
            records += [
                {
                    "card_ref": plan.card_ref,
                    "credential_id": plan.credential_id.hex(),
                    "ecard_id": plan.ecard_id,
                    "state": plan.state.value,
                    "key_id": plan.key_id,
                    "status_list": plan.list_id,
                    "status_index": plan.index,
                    "device_key_thumbprint": jose.b64url_encode(plan.device_key_thumbprint),
                    "planned_at": rfc3339(plan.created_at),
                }
                for plan in self.papers.plans_of(card.card_ref)
                if plan.credential_id not in kept
            ]
        return records


@dataclass(frozen=True, slots=True)
class EnrolmentsData:
    """When and where their chips were proven."""

    register: Cards
    papers: CardPapers
    section: str = "enrolments"

    def of_holder(self, holder: HolderRow, seal: Seal) -> Records:
        return [
            {
                "enrolment_id": row.enrolment_id,
                "card_ref": row.card_ref,
                "terminal_id": row.terminal_id,
                "state": row.state.value,
                "chip_assurance": row.assurance.label if row.assurance is not None else None,
                "usable_until": rfc3339(row.expires_at),
                "evidence": _evidence(row.evidence, seal, (row.enrolment_id,)),
            }
            for card in cards_of(self.register, holder)
            for row in self.papers.enrolments_of(card.card_ref)
        ]


def cards_of(register: Cards, holder: HolderRow) -> Sequence[CardRow]:
    """A person's cards, oldest first."""
    return sorted(register.cards_of_holder(holder.holder_ref), key=lambda card: (card.created_at, card.card_ref))


def _binding(
    row: BindingRow | EndedBindingRow, state: str, ended_at: str | None, seal: Seal, proofs: Sequence[str]
) -> Mapping[str, object]:
    return {
        "card_ref": row.card_ref,
        "ecard_id": row.ecard_id,
        "state": state,
        "chip_assurance": row.assurance.label,
        "created_at": rfc3339(row.created_at),
        "ended_at": ended_at,
        "evidence": _evidence(row.evidence, seal, proofs),
    }


def _evidence(sealed: bytes | None, seal: Seal, enrolment_ids: Sequence[str]) -> object:
    """The evidence as it was judged; `purged` where its time was over. It was sealed under its enrolment's name."""
    if sealed is None:
        return None
    if not sealed:
        return _GONE
    for enrolment_id in enrolment_ids:
        try:
            return json.loads(seal.open(sealed, f"evidence/{enrolment_id}"))
        except Unavailable:
            continue
    raise Unavailable("register_damaged", "the evidence of a binding does not open")
