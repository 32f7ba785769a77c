"""What the register keeps, as frozen values: one dataclass per kind of row, and the states they pass through.

References (`card_ref`, `holder_ref`, `number_mac`, `chip_key_ref`) are hex texts of keyed hashes that the caller
computes; the register never sees an identification code, a card number or an ID number in the clear. Every
`datetime` is aware and in UTC. Blobs called `sealed_*` were encrypted by the caller and stay opaque here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from ecard_card.card import ChipAssurance
from ecard_card.status import CardChange, CardStatus, EcardStatus
from ecard_issuer.states import (
    ApprovalState,
    BindingState,
    CredentialState,
    EnrolmentState,
    ListState,
    OutboxKind,
    PlanState,
)


@dataclass(frozen=True, slots=True)
class HolderRow:
    holder_ref: str
    wrapped_data_key: bytes = field(repr=False)
    sealed: bytes = field(repr=False)  # ID number and name under the person's data key


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


@dataclass(frozen=True, slots=True)
class EntryChange:
    """A status list entry and its new value."""

    list_id: int
    index: int
    value: EcardStatus


@dataclass(frozen=True, slots=True)
class CardEventRow:
    card_ref: str
    sequence: int
    event_id: str
    change: CardChange
    previous: CardStatus
    status: CardStatus
    missed: int  # sequence numbers never seen before this one; 0 where nothing is missing
    occurred_at: datetime
    recorded_at: datetime
    reason: str
    successor: str | None = None  # the new card's reference, where change is `replace`


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """What a change did. `applied` is False for a repeated event: `event` is then the one recorded before."""

    applied: bool
    event: CardEventRow
    entries: tuple[EntryChange, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusListRow:
    list_id: int
    size: int
    state: ListState
    version: int  # rises with every changed value
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StatusSnapshot:
    """A list with its non-zero entries; the values are at least as new as `version`."""

    list_id: int
    size: int
    version: int
    entries: tuple[tuple[int, EcardStatus], ...]


@dataclass(frozen=True, slots=True)
class OutboxRow:
    card_ref: str  # what concerns no card has a queue of its own: a trust list "", a stolen key "purpose/kid"
    outbox_id: str  # time-ordered text
    ordinal: int  # rises within the card
    kind: OutboxKind
    body: Mapping[str, object]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """A signed event to append to a stream, and the outbox row it comes from (one row may yield several events)."""

    card_ref: str
    outbox_id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FeedRow:
    stream: str
    seq: int  # 1, 2, 3 … without a gap
    outbox_id: str
    token: str = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SigningKeyRow:
    """`purpose` and `state` are the values of `ecard_keys.key.KeyPurpose` and `KeyState`."""

    purpose: str
    kid: str
    state: str
    public: bytes  # ES256 and SM2: a 65-byte point
    algorithm: str
    home: str
    created_at: datetime
    activated_at: datetime | None = None
    retired_from: datetime | None = None  # since when it does not sign
    compromised_from: datetime | None = None  # the cut-off; None in state compromised: all that it signed is refused
    user_id: bytes | None = None  # IDA of an SM2 key (GM/T 0003.2), None for every other
    published_at: datetime | None = None  # of the first trust list that named it
    retired_at: datetime | None = None
    compromised_at: datetime | None = None  # when it was declared so
    destroyed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """What names a key: unexpired live credentials, and open plans.

    `last_expiry` is when the last credential ends, or ended: verifiers' clocks may be behind, so the key is needed for
    a little longer than that.
    """

    live: int
    last_expiry: datetime | None
    planned: int


@dataclass(frozen=True, slots=True)
class KeyScheduleRow:
    """Rotate the keys of `purpose` every so often, in whole seconds."""

    purpose: str
    every: timedelta
    set_by: str
    set_at: datetime


@dataclass(frozen=True, slots=True)
class TrustListRow:
    version: int
    document: bytes = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TrustRootRow:
    """A root document, as signed by the holders of the root before it and by its own."""

    version: int
    document: bytes = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """An approval that is to be used up by the very change that was approved."""

    request_id: str
    change_hash: str


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """One change that other people are asked to agree to. `change_hash` is hex SHA-256 over action, subject and facts;
    `facts` is what those people are shown."""

    request_id: str
    action: str
    subject: str
    facts: Mapping[str, object]
    change_hash: str
    requester: str
    needed: int  # approvers besides the requester
    created_at: datetime
    expires_at: datetime
    state: ApprovalState = ApprovalState.PENDING
    closed_at: datetime | None = None  # when it was used, refused or found expired

    def state_at(self, now: datetime) -> ApprovalState:
        """The state, where time itself may have ended it."""
        is_open = self.state in (ApprovalState.PENDING, ApprovalState.APPROVED)
        return ApprovalState.EXPIRED if is_open and now >= self.expires_at else self.state


@dataclass(frozen=True, slots=True)
class VoteRow:
    request_id: str
    approver: str
    approve: bool
    voted_at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OperatorRow:
    token_hash: str = field(repr=False)
    name: str
    role: str
    created_at: datetime
    revoked_at: datetime | None = None
