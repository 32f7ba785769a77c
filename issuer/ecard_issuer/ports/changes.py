"""Port `Changes`: what happens to a card, in the order of the register's own count."""

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
        source: str = "",
        sequence: int | None = None,
        reason: str = "",
    ) -> ChangeResult:
        """Change a card's status, derive its credentials' status entries, write one `status` outbox row.

        `source` names the sender, empty: our own desks. `sequence` is the sender's per-card number, which counts among
        its own: the same event id, or the same number with the same change, alters nothing and returns the recorded
        event; a jump is accepted and `missed` says how many numbers it skipped; one that comes after a newer one is
        refused. A sender that reports the status which the card is in is recorded, and changes nothing. A sender's
        event that happened before the latest change of another origin is refused if it would make the card usable.
        `cancel` ends binding and credentials.

        `NotFound` `card_unknown`; `InvalidInput` `bad_card_sequence`; `Conflict` `card_event_differs` (the sender's
        same event id or number with other content); `RuleViolation` `card_change_superseded`,
        `card_change_impossible`, `card_event_from_future` (more than five minutes ahead of `now`),
        `replacement_needs_new_card`."""

    def replace_card(
        self,
        old_ref: str,
        new_ref: str,
        *,
        event_id: str,
        occurred_at: datetime,
        now: datetime,
        source: str = "",
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
