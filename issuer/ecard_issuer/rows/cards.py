"""Cards, holders, proofs of chips, and what binds a card to its e-card."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.status import CardStatus
from ecard_issuer.states import BindingState, EnrolmentState


@dataclass(frozen=True, slots=True)
class HolderRow:
    holder_ref: str
    wrapped_data_key: bytes = field(repr=False)
    sealed: bytes = field(repr=False)  # ID number and name under the person's data key

    @property
    def erased(self) -> bool:
        """Whether this is what is left of a person: a reference without a key."""
        return not self.wrapped_data_key


@dataclass(frozen=True, slots=True)
class CardRow:
    card_ref: str
    region: str
    number_mac: str
    holder_ref: str
    chip_profile: str
    sealed_identity: bytes = field(repr=False)  # identification code and card number under the person's data key
    status: CardStatus
    issued_on: date
    expires_on: date
    created_at: datetime
    updated_at: datetime
    chip_key_ref: str | None = None
    sequence: int = 0  # the last applied change of this card
    holder_locked: bool = False  # the holder shut the e-card
    consented: bool = False  # the holder permits its use in the present status
    replacing: bool = False  # a new card is being made: the e-card waits for it, whatever becomes of this one


@dataclass(frozen=True, slots=True)
class EnrolmentRow:
    enrolment_id: str
    terminal_id: str
    challenge: bytes = field(repr=False)
    expires_at: datetime
    state: EnrolmentState = EnrolmentState.OPEN
    card_ref: str | None = None
    assurance: ChipAssurance | None = None
    evidence: bytes | None = field(default=None, repr=False)
    credential_id: bytes | None = None
    holder_proof: HolderProof | None = None


@dataclass(frozen=True, slots=True)
class BindingRow:
    card_ref: str
    ecard_id: str
    assurance: ChipAssurance
    evidence: bytes = field(repr=False)
    state: BindingState
    plan_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class EndedBindingRow:
    card_ref: str
    ended_at: datetime
    ecard_id: str
    assurance: ChipAssurance
    evidence: bytes = field(repr=False)
    created_at: datetime
