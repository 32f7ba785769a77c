"""Everything of this room, wired to one file beside a verifier."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from ecard_verifier.counter_bundles import CounterBundles
from ecard_verifier.counters.alarms import Alarms
from ecard_verifier.counters.challenges import Challenges
from ecard_verifier.counters.database import FILE_NAME, Database
from ecard_verifier.counters.desk import CounterDesk
from ecard_verifier.counters.doors_sql import SqlDoors
from ecard_verifier.counters.entrance import IDLE, Entrance
from ecard_verifier.counters.holder_facts import HolderFacts, NoFacts
from ecard_verifier.counters.ledger_sql import SqlLedger
from ecard_verifier.counters.office import Office
from ecard_verifier.counters.organisation_sql import SqlOrganisation
from ecard_verifier.counters.ports import Doors, Ledger, Organisation
from ecard_verifier.counters.tally import Tally
from ecard_verifier.counters.uploads import UploadDesk
from ecard_verifier.purposes.purposes import Purposes, load_purposes
from ecard_verifier.service import VerificationService

#: Days that shift lists and alarms are kept; results go after minutes.
ROWS_KEPT: Final = timedelta(days=90)
_TIDY_EVERY: Final = timedelta(minutes=5)


@dataclass(slots=True)
class Housekeeping:
    """Deletes what is over, at most every five minutes, when somebody asks for something."""

    ledger: Ledger
    rows_kept: timedelta = ROWS_KEPT
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _last: datetime | None = None

    def turn(self, now: datetime) -> None:
        """Once for all threads."""
        with self._lock:
            if self._last is not None and abs(now - self._last) < _TIDY_EVERY:
                return
            self._last = now
        self.ledger.forget(now, now - self.rows_kept)


@dataclass(frozen=True, slots=True)
class Administration:
    """What needs no verifier: the command line opens this much beside a running service."""

    organisation: Organisation
    doors: Doors
    ledger: Ledger
    office: Office
    entrance: Entrance
    alarms: Alarms
    purposes: Purposes
    close: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Counters:
    """The whole room beside one verifier."""

    administration: Administration
    service: VerificationService
    desk: CounterDesk
    challenges: Challenges
    uploads: UploadDesk
    tally: Tally
    housekeeping: Housekeeping
    bundles: CounterBundles | None = None  # for pages without a network
    origins: tuple[str, ...] = ()  # pages of systems that the counter's page tells of verifications

    def start(self) -> None:
        """Begin what goes on in the background."""
        if self.bundles is not None:
            self.bundles.start()

    def close(self) -> None:
        """End that, and give the file back."""
        if self.bundles is not None:
            self.bundles.stop()
        self.administration.close()


def open_administration(folder: Path, purposes: Purposes | None = None) -> Administration:
    """The file in `folder`, made if it is missing. Raises `Unavailable` `counters_unavailable`."""
    path = folder / FILE_NAME
    durable, quick = Database(path, durable=True), Database(path, durable=False)
    known = purposes or load_purposes()
    organisation, ledger = SqlOrganisation(durable), SqlLedger(quick)
    doors = SqlDoors(durable, organisation, IDLE.total_seconds())
    alarms = Alarms(ledger, organisation)

    def close() -> None:
        quick.close()
        durable.close()

    return Administration(
        organisation,
        doors,
        ledger,
        Office(organisation, known),
        Entrance(doors, organisation, alarms),
        alarms,
        known,
        close,
    )


def open_counters(
    folder: Path,
    service: VerificationService,
    facts: HolderFacts | None = None,
    purposes: Purposes | None = None,
    bundles: CounterBundles | None = None,
    origins: tuple[str, ...] = (),
) -> Counters:
    """The room beside `service`, with what is kept in `folder`. Raises as `open_administration`."""
    opened, tally = open_administration(folder, purposes), Tally()
    challenges = Challenges(opened.ledger)
    desk = CounterDesk(service, opened.ledger, opened.purposes, facts or NoFacts(), opened.alarms, tally, challenges)
    uploads = UploadDesk(service, desk, opened.ledger, opened.alarms, tally)
    return Counters(opened, service, desk, challenges, uploads, tally, Housekeeping(opened.ledger), bundles, origins)
