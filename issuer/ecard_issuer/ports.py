"""`Register`: what the issuer's use cases need of the store of truth, and what every adapter must promise.

Each verb is one transaction: it happens wholly and durably, or it raises and leaves nothing. Verbs may be called
from many threads and processes at once. Two promises rest on keys of the store and on no caller's good will:
one chip has at most one binding and one e-card at most one chip; a status index is never given out twice.

Besides what a verb names, any verb raises `Unavailable` `register_unavailable` (no answer, or a lock not granted
in time: nothing was changed) or `outcome_unknown` (it may or may not have been committed: ask again).
`tests/contracts/register_contract.py` holds every adapter to this page.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from ecard_card.card import ChipAssurance
from ecard_card.status import CardChange
from ecard_issuer.rows import (
    ApprovalRow,
    BindingRow,
    CardEventRow,
    CardRow,
    ChangeResult,
    CredentialRow,
    EndedBindingRow,
    EnrolmentRow,
    FeedEntry,
    FeedRow,
    Grant,
    HolderRow,
    KeyScheduleRow,
    KeyUsage,
    OperatorRow,
    OutboxRow,
    PlanRow,
    Reissuable,
    ReissueCount,
    ReissueRow,
    SigningKeyRow,
    StatusListRow,
    StatusSlot,
    StatusSnapshot,
    Successor,
    TrustListRow,
    TrustRootRow,
    VoteRow,
)


class Cards(Protocol):
    def add_card(self, card: CardRow, holder: HolderRow) -> None:
        """Register a card, and its holder if new. `Conflict`: `card_exists`; `chip_key_taken` (another card's key);
        `holder_differs` (the card names another holder); `holder_exists` (this holder is stored under another data
        key: seal under that one and try again)."""

    def get_card(self, card_ref: str) -> CardRow:
        """`NotFound` `card_unknown`."""

    def cards_by_number(self, number_mac: str) -> tuple[CardRow, ...]: ...

    def cards_of_holder(self, holder_ref: str) -> tuple[CardRow, ...]: ...

    def find_holder(self, holder_ref: str) -> HolderRow | None: ...

    def card_of_chip_key(self, chip_key_ref: str) -> str | None:
        """The card that an on-chip public key belongs to."""

    def find_binding(self, card_ref: str) -> BindingRow | None: ...

    def card_of_ecard(self, ecard_id: str) -> str | None:
        """The card an e-card is, or was last, bound to. An ended e-card keeps its place: its id is never re-used."""

    def ended_bindings(self, card_ref: str) -> tuple[EndedBindingRow, ...]: ...

    def credentials_of(self, card_ref: str) -> tuple[CredentialRow, ...]:
        """All of them, ended ones too, oldest first."""

    def find_credential(self, credential_id: bytes) -> CredentialRow | None: ...

    def events_of(self, card_ref: str) -> tuple[CardEventRow, ...]:
        """In order of their sequence."""


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
    ) -> EnrolmentRow:
        """Consume the challenge, once, with the proof it brought; `usable_until` moves `expires_at` for the issuance.

        `chip_key_ref` ties the chip's key to the card at its first proof. `NotFound` `enrolment_unknown`,
        `card_unknown`; `Conflict` `enrolment_already_used`, `enrolment_of_other_card`, `chip_key_taken` (the key
        belongs to another card), `chip_key_differs` (the card is known by another key); `RuleViolation`
        `enrolment_expired`."""


class Issuing(Protocol):
    def free_slot(self, now: datetime, randbelow: Callable[[int], int] = secrets.randbelow) -> StatusSlot:
        """Propose a random status index that was never given out; opens the next list where one is 80 % full.

        Nothing is taken yet: `plan_issuance` takes it, or says `status_index_taken` and the caller proposes again."""

    def plan_issuance(self, plan: PlanRow, now: datetime) -> None:
        """Record what is going to be signed, and take the binding and the status index for it.

        `NotFound` `card_unknown`, `enrolment_unknown`, `status_list_unknown`; `InvalidInput`
        `status_index_out_of_range`; `RuleViolation` `card_status_differs`, `enrolment_not_proven` (or another card's),
        `enrolment_expired`, `key_not_active` (the planned key signs no more: plan again); `Conflict`
        `status_index_taken`, `enrolment_already_used`, `plan_exists`, `chip_already_bound`, `ecard_already_bound`, and
        for a renewal `ecard_not_bound_here`."""

    def get_plan(self, card_ref: str, plan_id: str) -> PlanRow:
        """`NotFound` `plan_unknown`."""

    def commit_issuance(
        self, card_ref: str, plan_id: str, credential: CredentialRow, body: Mapping[str, object], now: datetime
    ) -> None:
        """The plan is kept: credential stored, binding live, enrolment spent, one `issued` outbox row with `body`.

        `NotFound` `plan_unknown`; `Conflict` `plan_voided`, `plan_committed`, `enrolment_already_used`,
        `ecard_not_bound_here`, `credential_exists`; `RuleViolation` `card_status_differs`, `credential_off_plan`
        (e-card, credential id, status slot, key or device key is not the planned one), `key_not_active` (the planned
        key was declared compromised meanwhile)."""

    def void_plan(self, card_ref: str, plan_id: str, now: datetime) -> bool:
        """Give a plan up: its entry is INVALID for ever, its reserved binding is free, an `ended` outbox row tells.

        The enrolment stays proven. False where it was voided before; `NotFound` `plan_unknown`; `Conflict`
        `plan_committed`."""

    def stale_plans(self, now: datetime, owner: str | None = None, limit: int = 100) -> tuple[PlanRow, ...]:
        """Plans still `planned` that are past their `expires_at` or belong to `owner` (itself, after a restart)."""


class Reissuing(Issuing, Protocol):
    """`bounds` are the first `card_ref` that counts, and the first beyond (None: to the end)."""

    def open_reissue(self, row: ReissueRow, *, grant: Grant | None = None) -> ReissueRow:
        """Permit it; where as much was permitted before, that row comes back and no grant is used. `NotFound`
        `key_unknown`; `RuleViolation` `approval_not_usable`."""

    def find_reissue(self, key_id: str) -> ReissueRow | None: ...

    def free_slots(
        self, count: int, now: datetime, randbelow: Callable[[int], int] = secrets.randbelow
    ) -> tuple[StatusSlot, ...]:
        """As `free_slot`, for `count` different places."""

    def count_reissuable(
        self, key_id: str, now: datetime, *, bounds: tuple[str, str | None] = ("", None)
    ) -> ReissueCount: ...

    def to_reissue(
        self,
        key_id: str,
        now: datetime,
        *,
        after: tuple[str, bytes] | None = None,
        bounds: tuple[str, str | None] = ("", None),
        limit: int = 100,
    ) -> tuple[Reissuable, ...]:
        """Live, unexpired credentials of a key that have no successor, in order of (`card_ref`, `credential_id`),
        those beyond `after`."""

    def plan_reissues(self, plans: Sequence[PlanRow], now: datetime) -> Mapping[str, str]:
        """Record plans that say what they replace, and take their status indexes. Those refused come back by `plan_id`
        and code, the others stand: `credential_already_replaced`, `issuance_in_progress` (an open plan replaces the
        same), `card_status_differs` (the card permits no e-card, or has ended this one), `ecard_not_bound_here`,
        `credential_unknown`. `Conflict` `status_index_taken`, `RuleViolation` `key_not_active`: none stands.

        Another `card_status` than the planned one is no reason: the entry gets the effect of the present one."""

    def commit_reissues(
        self, successors: Sequence[Successor], now: datetime, *, end_replaced: bool
    ) -> Mapping[str, str]:
        """Keep plans: each credential is stored, its entry says what the card's status means now, its predecessor is
        told of it (and ended, where `end_replaced`), outbox rows are written; the binding stays as it is.

        Refused ones come back as from `plan_reissues`, also for `plan_voided` (or committed before) and
        `credential_off_plan`; their plans stay as they are, to be voided. `RuleViolation` `key_not_active` (the
        planned key was declared compromised meanwhile): none is kept."""

    def collect_successor(self, credential_id: bytes, now: datetime) -> CredentialRow:
        """The newest successor of a credential, which ends with all between them; again gives the same.

        `NotFound` `credential_unknown`; `Conflict` `credential_not_replaced`; `RuleViolation` `card_not_issuable` (the
        successor has ended with its card)."""

    def end_replaced(self, key_id: str, now: datetime, *, limit: int = 100) -> int:
        """End live credentials of a key that have a successor; 0 when there are none any more."""


class Changes(Protocol):
    def apply_change(
        self,
        card_ref: str,
        change: CardChange,
        *,
        event_id: str,
        occurred_at: datetime,
        now: datetime,
        sequence: int | None = None,
        reason: str = "",
    ) -> ChangeResult:
        """Change a card's status, derive its credentials' status entries, write one `status` outbox row.

        `sequence` is the sender's per-card number (None: the next one). A repeated `event_id`, or the same sequence
        with the same change, alters nothing and returns the recorded event. A jump is accepted and `missed` says how
        many numbers it skipped; one that comes after a newer one is refused. `cancel` ends binding and credentials.
        `NotFound` `card_unknown`; `InvalidInput` `bad_card_sequence`; `Conflict` `card_event_differs` (the same event
        id or sequence with other content); `RuleViolation` `card_change_superseded`, `card_change_impossible`,
        `replacement_needs_new_card`."""

    def replace_card(
        self,
        old_ref: str,
        new_ref: str,
        *,
        event_id: str,
        occurred_at: datetime,
        now: datetime,
        sequence: int | None = None,
        reason: str = "",
        enrolment_id: str | None = None,
    ) -> ChangeResult:
        """补换: cancel the old card, end its credentials, and move its e-card to the new one.

        With a proven enrolment of the new card (it stays proven, for the issuance to spend) the moved binding is
        live, without it `awaiting`; either way the new credential comes by `plan_issuance` with `renewal`. Refuses as
        `apply_change` does, and with `NotFound` `enrolment_unknown`; `Conflict` `chip_already_bound` (new card),
        `enrolment_already_used`; `RuleViolation` `replacement_of_other_holder`, `replacement_by_cancelled_card`,
        `enrolment_not_proven`, `enrolment_expired`."""


class Statuses(Protocol):
    def status_lists(self, after: int = -1, limit: int = 1000) -> tuple[StatusListRow, ...]:
        """Lists in order of their id, those above `after`; compare `version` with what was last published."""

    def status_snapshot(self, list_id: int) -> StatusSnapshot:
        """`NotFound` `status_list_unknown`."""


class Feed(Protocol):
    def claim_outbox(self, now: datetime, *, lease: timedelta, limit: int = 100) -> tuple[OutboxRow, ...]:
        """Take undispatched rows, oldest first, for as long as `lease`; no other worker gets them meanwhile.

        At most one row of a card at a time, so a card's events never overtake each other: ask until it is empty."""

    def oldest_pending(self) -> datetime | None:
        """When the oldest undispatched row was written, claimed ones too; None where nothing waits."""

    def append_feed(self, stream: str, after: int, entries: Sequence[FeedEntry], now: datetime) -> tuple[FeedRow, ...]:
        """Append signed events as `after` + 1, `after` + 2 … and settle their outbox rows.

        `after` is the head that the tokens were signed for. `Conflict`: `feed_moved` (another worker appended: number
        and sign again), `outbox_settled` (the lease ran out and another worker did it: claim again)."""

    def read_feed(self, stream: str, after: int = 0, limit: int = 1000) -> tuple[FeedRow, ...]:
        """Events with `seq` above `after`, in order; a reader that saw `n` never misses one below it."""

    def feed_head(self, stream: str) -> int:
        """The last `seq`; 0 for an empty stream."""


class Keys(Protocol):
    """A verb that takes a `grant` uses that approval up in its own transaction, and raises `RuleViolation`
    `approval_not_usable` where it is not approved, expired, used before, or given for another change."""

    def add_key(self, key: SigningKeyRow) -> None:
        """One active key per purpose, and one that waits (generated or next): `Conflict` `key_exists`,
        `key_already_active`, `next_key_exists`."""

    def list_keys(self, purposes: Collection[str]) -> tuple[SigningKeyRow, ...]: ...

    def activate_key(self, purpose: str, kid: str, now: datetime, *, grant: Grant | None = None) -> SigningKeyRow:
        """`next` to `active`; the purpose's active key, if any, becomes `verify-only`, retired from `now`, in the same
        moment. `NotFound` `key_unknown`; `RuleViolation` `key_change_impossible`."""

    def retire_key(self, purpose: str, kid: str, now: datetime, *, grant: Grant | None = None) -> SigningKeyRow:
        """`verify-only` to `retired`. `NotFound` `key_unknown`; `RuleViolation` `key_change_impossible`,
        `key_still_named` (an unexpired live credential or an open plan names it)."""

    def compromise_key(
        self,
        purpose: str,
        kid: str,
        cut_off: datetime | None,
        now: datetime,
        *,
        successor: str | None = None,
        grant: Grant | None = None,
    ) -> SigningKeyRow:
        """Any state to `compromised`, with a `key_compromised` outbox row; what it signed after `cut_off` is refused,
        without one all of it. Said again it may only take more trust away: an earlier cut-off.

        `successor`, generated or next, becomes active in the same transaction. `NotFound` `key_unknown`;
        `RuleViolation` `key_change_impossible` (also for a successor while another key is active)."""

    def destroy_key(self, purpose: str, kid: str, now: datetime, *, grant: Grant | None = None) -> SigningKeyRow:
        """`generated` or `retired` to `destroyed`. `NotFound` `key_unknown`; `RuleViolation`
        `key_change_impossible`."""

    def key_usage(self, purpose: str, kid: str, now: datetime) -> KeyUsage:
        """What names a key of this id. Only keys of purpose `credential` are named by anything."""

    def set_schedule(self, row: KeyScheduleRow, *, grant: Grant | None = None) -> None:
        """Set, or replace, when the keys of a purpose rotate. The grant is judged at the row's `set_at`."""

    def clear_schedule(self, purpose: str, now: datetime, *, grant: Grant | None = None) -> None:
        """`NotFound` `key_schedule_unknown`."""

    def schedules(self) -> tuple[KeyScheduleRow, ...]: ...

    def add_trust_list(
        self,
        trust_list: TrustListRow,
        published: Collection[tuple[str, str]] = (),
        *,
        grant: Grant | None = None,
    ) -> None:
        """Store it with a `trust_list` outbox row. The keys it names, as (purpose, kid), count as published from its
        `created_at` on, and a generated one becomes `next`. `Conflict` `trust_list_version_taken`: versions only
        grow."""

    def latest_trust_list(self) -> TrustListRow | None: ...

    def add_trust_root(self, row: TrustRootRow, *, grant: Grant | None = None) -> None:
        """`Conflict` `trust_root_version_taken`: each version follows the one before it."""

    def trust_roots(self) -> tuple[TrustRootRow, ...]:
        """In order of their versions."""


class Approvals(Protocol):
    """Names of people are compared by `ecard_issuer.names.person_key`: case, spaces and Unicode forms tell nobody
    apart."""

    def request_approval(self, request: ApprovalRow, now: datetime) -> ApprovalRow:
        """The open request (pending or approved, not expired) for this change, or this one, now stored.

        `RuleViolation` `approval_too_many_open`: whoever asks has 50 open ones, as many as a list shows in part."""

    def get_approval(self, request_id: str) -> ApprovalRow:
        """`NotFound` `approval_unknown`."""

    def list_approvals(self, limit: int = 200, *, undecided: bool = False) -> tuple[ApprovalRow, ...]:
        """Newest first; with `undecided` only those that nobody closed."""

    def votes_of(self, request_id: str) -> tuple[VoteRow, ...]:
        """In order of time."""

    def vote(self, vote: VoteRow) -> ApprovalRow:
        """Say yes to a pending request (the last that is needed approves it), or no to one that is not used yet.

        `NotFound` `approval_unknown`; `RuleViolation` `approval_own_request`, `approval_expired`; `Conflict`
        `approval_already_voted`, `approval_closed`; `NotAllowed` `not_allowed` for an operator who was revoked."""

    def use_approval(self, grant: Grant, now: datetime) -> None:
        """Use an approval up for a change outside the register. `RuleViolation` `approval_not_usable`."""


class Operators(Protocol):
    def add_operator(self, operator: OperatorRow, *, grant: Grant | None = None) -> None:
        """`Conflict` `operator_exists`; `RuleViolation` `approval_not_usable`."""

    def find_operator(self, token_hash: str) -> OperatorRow | None:
        """None for an unknown or revoked one."""

    def has_operators(self) -> bool: ...

    def list_operators(self) -> tuple[OperatorRow, ...]:
        """Revoked ones too, oldest first."""

    def revoke_operators(self, token_hashes: Collection[str], now: datetime, *, grant: Grant | None = None) -> None:
        """All of them, for ever; a repetition changes nothing. Open requests that somebody without any token left asked
        for or agreed to are refused. `NotFound` `operator_unknown`; `RuleViolation` `approval_not_usable`."""


class Register(Cards, Enrolments, Reissuing, Changes, Statuses, Feed, Keys, Approvals, Operators, Protocol):
    """All of it. A use case asks for the narrowest part that it needs."""
