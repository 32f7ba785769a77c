"""Port `Enrolments`: challenges given to chips, and the proofs they brought."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from ecard_card.card import ChipAssurance, HolderProof
from ecard_issuer.rows import EnrolmentRow


class Enrolments(Protocol):
    def open_enrolment(self, enrolment: EnrolmentRow) -> None:
        """Remember a challenge given out. `Conflict` `enrolment_exists`."""

    def get_enrolment(self, enrolment_id: str) -> EnrolmentRow:
        """`NotFound` `enrolment_unknown`."""

    def prove_enrolment(
        self,
        enrolment_id: str,
        *,
        card_ref: str,
        assurance: ChipAssurance,
        evidence: bytes,
        now: datetime,
        chip_key_ref: str | None = None,
        usable_until: datetime | None = None,
        holder_proof: HolderProof | None = HolderProof.CHIP,
    ) -> EnrolmentRow:
        """Consume the challenge, once, with the proof it brought; `usable_until` moves `expires_at` for the issuance.

        `chip_key_ref` ties the chip's key to the card at its first proof. `NotFound` `enrolment_unknown`,
        `card_unknown`; `Conflict` `enrolment_already_used`, `enrolment_of_other_card`, `chip_key_taken` (the key
        belongs to another card), `chip_key_differs` (the card is known by another key); `RuleViolation`
        `enrolment_expired`."""
