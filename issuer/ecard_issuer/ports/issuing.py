"""Ports `Issuing` and `Reissuing`: plans, and the credentials that keep them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from ecard_issuer.rows import (
    CardRow,
    CredentialRow,
    EnrolmentRow,
    Grant,
    Issuable,
    PlanRow,
    Reissuable,
    ReissueCount,
    ReissueRow,
    StatusSlot,
    Successor,
)


class Issuing(Protocol):
    def free_slot(self, now: datetime, randbelow: Callable[[int], int] = secrets.randbelow) -> StatusSlot:
        """Propose a random status index that was never given out; opens the next list where one is 80 % full.

        Nothing is taken yet: `plan_issuance` takes it, or says `status_index_taken` and the caller proposes again."""

    def plan_issuance(self, plan: PlanRow, now: datetime) -> None:
        """Record what is going to be signed, and take the binding and the status index for it.

        A plan that `replaces` a credential needs no enrolment: it follows one of the same e-card and device key that
        ended with the e-card's former chip. `NotFound` `credential_unknown`; `Conflict` `credential_not_replaced`,
        `credential_already_replaced`, `issuance_in_progress`.

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

    def line_of(self, credential_id: bytes) -> tuple[CredentialRow, ...]:
        """A credential, its successor, the successor's, and so on, from card to card; empty for an unknown id."""
        ...

    def collect_successor(self, credential_id: bytes, now: datetime) -> CredentialRow:
        """The newest successor of a credential, which ends with all between them; again gives the same.

        `NotFound` `credential_unknown`; `Conflict` `credential_not_replaced`; `RuleViolation` `card_not_issuable` (the
        successor has ended with its card)."""

    def end_replaced(self, key_id: str, now: datetime, *, limit: int = 100) -> int:
        """End live credentials of a key that have a successor; 0 when there are none any more."""


class IssuingMany(Reissuing, Protocol):
    """`Issuing`, for many cards in one transaction: the same rules, each card's outcome its own."""

    def issuable(self, enrolment_ids: Sequence[str]) -> Mapping[str, Issuable]:
        """What there is, by enrolment; unknown ones are left out."""
        ...

    def proofs(self, enrolment_ids: Sequence[str]) -> Mapping[str, tuple[EnrolmentRow, CardRow | None]]:
        """Enrolments, and the card that each proves; unknown ones are left out."""
        ...

    def plan_issuances(self, plans: Sequence[PlanRow], now: datetime) -> Mapping[str, str]:
        """As `plan_issuance` for each; at most one binds a card. Those refused come back by `plan_id` and code, the
        others stand. `Conflict` `status_index_taken`, `RuleViolation` `key_not_active`: none stands."""
        ...

    def commit_issuances(self, kept: Sequence[Successor], now: datetime) -> Mapping[str, str]:
        """As `commit_issuance` for each. Those refused come back, and their plans are still to be voided.
        `RuleViolation` `key_not_active`: none is kept."""
        ...
