"""Port `Cases`: what was asked about cards, and what that did, in one transaction each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from ecard_card.region_policy import RegionPolicy
from ecard_issuer.life.rules import Decision
from ecard_issuer.life.values import CaseRow, CaseState, Outcome
from ecard_issuer.rows import CardRow, HolderRow

#: Judges a card that is locked meanwhile, under the policy of its region.
Judge = Callable[[CardRow, RegionPolicy], Decision]


class Cases(Protocol):
    def open_case(self, draft: CaseRow, judge: Judge, now: datetime, *, whole_person: bool = False) -> Outcome:
        """Judge the card of `draft` while it is locked, do what the decision says, and keep the case.

        `draft.state`, `applied` and the due time come from the decision. With `whole_person` every other live card of
        the same holder is judged and changed as well. A case of this id that is there already alters nothing and comes
        back. Raises what `judge` and `Changes.apply_change` raise; `NotFound` `card_unknown`; `Conflict`
        `request_differs` (this id was used for something else), `replacement_under_way`.
        """
        ...

    def find_case(self, case_id: str) -> CaseRow | None: ...

    def outcome_of(self, case: CaseRow, now: datetime) -> Outcome:
        """A case beside what card and e-card are now."""
        ...

    def cases_of(self, card_ref: str) -> tuple[CaseRow, ...]:
        """All cases of a card, oldest first."""
        ...

    def advance(
        self, case_id: str, to: CaseState, caller: str, now: datetime, *, new_card_ref: str | None = None
    ) -> Outcome:
        """Move a replacement on to `MADE` (then with the new card), `READY` or `WITHDRAWN`; again changes nothing.

        `NotFound` `case_unknown`, `card_unknown`; `RuleViolation` `replacement_step_impossible`,
        `replacement_of_other_holder`, `replacement_by_cancelled_card`, `replacement_needs_new_card`; `Conflict`
        `request_differs` (made before as another card), `chip_already_bound`.
        """
        ...

    def collect(
        self, case_id: str, enrolment_id: str | None, renamed: HolderRow | None, caller: str, now: datetime
    ) -> Outcome:
        """The holder has the new card: the old one ends, the same e-card moves, the new card is enabled. Again changes
        nothing. `renamed` is the holder's row under their new name.

        Raises as `advance` and `Changes.replace_card` do.
        """
        ...

    def end_due(self, now: datetime, *, limit: int = 100) -> int:
        """End temporary losses whose term is over, each once, in a transaction of its own; returns how many cases."""
        ...
