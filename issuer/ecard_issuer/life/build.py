"""The card's life put together, and its periodic work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Engine

from ecard_issuer.card_desk import CardDesk
from ecard_issuer.card_effect import PolicyChanges, PolicyOf
from ecard_issuer.life.cases import Cases
from ecard_issuer.life.office import CaseOffice
from ecard_issuer.life.person import PersonLives
from ecard_issuer.life.reviews import Reviews, SqlReviews
from ecard_issuer.life.services import Cancellations, Losses, Replacements, Words
from ecard_issuer.life.sql import SqlCases
from ecard_issuer.mandates.desk import Lives, Mandates
from ecard_issuer.ports import Cards

#: How many batches one turn of the upkeep does of each kind: it runs beside the feed, which must not wait.
_BATCHES: Final = 3


class LifeUpkeep:
    """What time alone does to cards. Every piece is a transaction of its own, and is found again after a crash."""

    def __init__(self, cases: Cases, reviews: Reviews, policy_changes: PolicyChanges, wake: Callable[[], None]) -> None:
        self._cases = cases
        self._reviews = reviews
        self._policy_changes = policy_changes
        self._wake = wake

    def turn(self, now: datetime) -> int:
        """A bounded amount of what is due at `now`; returns how many cases and cards it looked at."""
        total = 0
        for _ in range(_BATCHES):
            done = self._turn(now)
            total += done
            if not done:
                break
        if total:
            self._wake()
        return total

    def finish(self, now: datetime, reached: Callable[[int], None] = lambda done: None) -> int:
        """All that is due, however long it takes; `reached` hears how many so far."""
        total = 0
        while done := self.turn(now):
            total += done
            reached(total)
        return total

    def review_region(self, region: str, now: datetime) -> None:
        """Have all cards under a region's code looked at, whatever is known of its policy."""
        self._reviews.review_region(region, now)

    def _turn(self, now: datetime) -> int:
        return (
            self._cases.end_due(now)
            + self._reviews.review_expired(now)
            + self._reviews.review_policies(self._policy_changes, now)
        )


@dataclass(frozen=True, slots=True)
class Life:
    """The services of a card's life."""

    office: CaseOffice
    losses: Losses
    words: Words
    cancellations: Cancellations
    replacements: Replacements
    upkeep: LifeUpkeep


def open_life(
    engine: Engine,
    register: Cards,
    desk: CardDesk,
    acting: Mandates,
    lives: Lives,
    policy_of: PolicyOf,
    policy_changes: PolicyChanges,
    wake: Callable[[], None],
) -> Life:
    """The services over a register's engine."""
    cases = SqlCases(engine, policy_of=policy_of)
    office = CaseOffice(cases, register, desk, acting, policy_of, wake)
    return Life(
        office,
        Losses(office),
        Words(office),
        Cancellations(office, PersonLives(desk.people, lives, acting)),
        Replacements(office),
        LifeUpkeep(cases, SqlReviews(engine, policy_of=policy_of), policy_changes, wake),
    )
