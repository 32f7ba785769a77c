"""Port `Changes`: what happens to a card, in the order of the card's own sequence."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from ecard_card.status import CardChange
from ecard_issuer.rows import ChangeResult


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
