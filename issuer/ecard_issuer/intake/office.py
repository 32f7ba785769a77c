"""All of the intake in one object, as the issuer holds it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Engine

from ecard_card.errors import EcardError
from ecard_issuer.approvals import Approvals
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.card_effect import PolicyOf
from ecard_issuer.intake.desk import Intake
from ecard_issuer.intake.files.card_rows import CardRows
from ecard_issuer.intake.files.change_rows import ChangeRows
from ecard_issuer.intake.files.importing import TakeBatch
from ecard_issuer.intake.files.layout import FileKind
from ecard_issuer.intake.poll import Pollers
from ecard_issuer.intake.ports import IntakeStore
from ecard_issuer.intake.reconciling.desk import Reconciliation
from ecard_issuer.intake.sources import Sources
from ecard_issuer.intake.sql import SqlIntake
from ecard_issuer.lifecycle import LifeCycle
from ecard_issuer.ports import Cards
from ecard_keys.protect import Protector

#: The source of a file for which none is named: the operator at the machine, for every region.
FILE: Final = "file"
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IntakeOffice:
    """What comes from the physical card system: sources, events, exceptions, files, comparisons."""

    store: IntakeStore
    sources: Sources
    events: Intake
    pollers: Pollers
    reconciliation: Reconciliation
    cards: CardDesk
    clock: Callable[[], datetime]
    wake: Callable[[], None]

    def start(self) -> None:
        """Ask the sources that are polled, each in a thread of its own."""
        self.pollers.start()

    def stop(self) -> None:
        """End the asking."""
        self.pollers.stop()

    def card_arrived(self, card_ref: str, now: datetime) -> None:
        """Try what waited for a card that has just been registered. Whatever fails is tried again by `upkeep`."""
        try:
            self.events.retry_waiting(card_ref, now)
        except EcardError as error:
            _log.warning("what waits for a new card is tried later: %s", error)

    def upkeep(self, now: datetime) -> None:
        """Try again what is due."""
        self.events.upkeep(now)

    def rows(
        self, kind: FileKind, source: str = FILE, *, profile: str | None = None, dry_run: bool = False
    ) -> TakeBatch:
        """What takes the rows of a file of `kind`. Raises `NotFound` `source_unknown`."""
        speaks_for = (lambda region: True) if source == FILE else self.sources.get(source).speaks_for
        if kind is FileKind.CARDS:
            return CardRows(
                self.store, self.cards, self.clock, source, speaks_for=speaks_for, profile=profile, dry_run=dry_run
            ).take
        return ChangeRows(
            self.store,
            self.store,
            self.events,
            self.cards.references,
            self.clock,
            source,
            speaks_for=speaks_for,
            wake=self.wake,
            dry_run=dry_run,
        ).take


def open_intake(
    engine: Engine,
    cards: Cards,
    desk: CardDesk,
    lifecycle: LifeCycle,
    approvals: Approvals,
    protector: Protector,
    clock: Callable[[], datetime],
    wake: Callable[[], None],
    policy_of: PolicyOf,
) -> IntakeOffice:
    """The intake over the register's engine, whose schema is in place."""
    store = SqlIntake(engine, policy_of=policy_of)
    sources = Sources(store, approvals, protector)

    def speaks_for(source: str, region: str) -> bool:
        return source == FILE or sources.get(source).speaks_for(region)

    events = Intake(cards, desk, lifecycle, store, store, speaks_for)
    reconciliation = Reconciliation(cards, store.all_cards, store, lifecycle, approvals, desk.references)
    return IntakeOffice(store, sources, events, Pollers(sources, events, clock), reconciliation, desk, clock, wake)
