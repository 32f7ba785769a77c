"""Plans of credentials, credentials, and credentials made anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ecard_card.card import ChipAssurance
from ecard_card.status import CardStatus
from ecard_issuer.rows.cards import BindingRow, CardRow, EnrolmentRow, HolderRow
from ecard_issuer.states import CredentialState, PlanState


@dataclass(frozen=True, slots=True)
class StatusSlot:
    """One place on one status list."""

    list_id: int
    index: int


@dataclass(frozen=True, slots=True)
class PlanRow:
    """What will be signed, written down before it is. `credential_id` 16 bytes; `draft_hashes` hex SHA-256 each."""

    card_ref: str
    plan_id: str
    enrolment_id: str
    ecard_id: str
    card_status: CardStatus  # the status the card must have, at planning and at committing
    profile: str
    profile_hash: str
    list_id: int
    index: int
    credential_id: bytes
    draft_hashes: tuple[str, ...]
    key_id: str
    device_key_thumbprint: bytes
    owner: str  # the process that will finish it
    expires_at: datetime
    created_at: datetime
    renewal: bool = (
        False  # False: binds a free chip to a new e-card; True: one more credential of the e-card bound here
    )
    state: PlanState = PlanState.PLANNED
    replaces: bytes | None = None  # the credential that is made anew; then `enrolment_id` is empty


@dataclass(frozen=True, slots=True)
class CredentialRow:
    card_ref: str
    credential_id: bytes
    ecard_id: str
    list_id: int
    index: int
    key_id: str
    cwt: bytes = field(repr=False)
    sealed_sd_jwt: bytes = field(repr=False)
    assurance: ChipAssurance
    device_key_thumbprint: bytes
    issued_at: datetime
    expires_at: datetime
    state: CredentialState = CredentialState.LIVE
    replaced_by: bytes | None = None  # its successor, made anew under another key


@dataclass(frozen=True, slots=True)
class Reissuable:
    """A live credential without a successor, its card, and the card's holder (None where the register has lost it)."""

    credential: CredentialRow
    card: CardRow
    holder: HolderRow | None


@dataclass(frozen=True, slots=True)
class Issuable:
    """An enrolment with the card that it proves, that card's holder and binding, as they stand; None: there is none."""

    enrolment: EnrolmentRow
    card: CardRow | None
    holder: HolderRow | None
    binding: BindingRow | None


@dataclass(frozen=True, slots=True)
class ReissueCount:
    """Live credentials of a key: `waiting` have no successor, `replaced` have one that no device has fetched."""

    waiting: int
    replaced: int


@dataclass(frozen=True, slots=True)
class Successor:
    """A credential made anew, the plan it keeps, and the body of its `issued` outbox row."""

    plan: PlanRow
    credential: CredentialRow
    body: Mapping[str, object]

    @property
    def on_plan(self) -> bool:
        """Whether the credential is the planned one."""
        names = ("card_ref", "credential_id", "ecard_id", "list_id", "index", "key_id", "device_key_thumbprint")
        return all(getattr(self.credential, name) == getattr(self.plan, name) for name in names)


@dataclass(frozen=True, slots=True)
class ReissueRow:
    """That the credentials of a key may be made anew: asked once, for as many runs as it takes."""

    key_id: str
    end_replaced: bool
    opened_by: str
    opened_at: datetime
