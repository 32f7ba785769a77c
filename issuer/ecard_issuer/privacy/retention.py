"""Records go when the policy of their region says so: in small batches, again and again, from whoever keeps some."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from ecard_card.errors import EcardError
from ecard_card.region import covers
from ecard_card.region_policy import ANY_REGION, Retention
from ecard_issuer.policies.book import PolicyBook

#: How many records are looked at or go in one transaction, and how many of one kind and region go in one run.
BATCH: Final = 500
MOST: Final = 20_000
#: How often a server looks.
EVERY: Final = timedelta(days=1)
STOP_SECONDS: Final = 10
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which records are over: those of `region` and below it, but of none of the regions `without`, closed `before`."""

    region: str
    without: tuple[str, ...]
    before: datetime


class Purgeable(Protocol):
    """A kind of record that is not kept for ever. What is needed to prove something that still holds is none."""

    @property
    def name(self) -> str:
        """For operators: lower-case words joined by `_`."""
        ...

    @property
    def term(self) -> str:
        """The field of `ecard_card.region_policy.Retention` that it follows."""
        ...

    @property
    def regional(self) -> bool:
        """Whether a record belongs to a region; if not, the policy of the whole country counts, and `purge` and
        `count` look at `before` alone."""
        ...

    def purge(self, scope: Scope, limit: int) -> int:
        """Delete or empty at most `limit` records of `scope`, oldest first, in transactions of at most `BATCH`; says
        how many. Never waits long for one statement, however many records there are that stay."""
        ...

    def count(self, scope: Scope, limit: int) -> int:
        """How many records `purge` would find, counted up to `limit`. Changes nothing."""
        ...


class RetentionJob:
    """Purges by policy. May run in several processes: what one deleted another does not find.

    A server calls `start`, then `upkeep` as often as it likes, then `stop`; the work is done in a thread of its own,
    because it may take long and nothing waits for it.
    """

    def __init__(self, book: PolicyBook, kinds: Sequence[Purgeable]) -> None:
        self._book = book
        self._kinds = tuple(kinds)
        self._next: datetime | None = None
        self._worker: threading.Thread | None = None
        self._stopping = threading.Event()
        self._stopping.set()
        names = {kind.term for kind in kinds} - set(Retention.__dataclass_fields__)
        if names:
            raise TypeError(f"no term of retention is called {', '.join(sorted(names))}")

    def run(self, now: datetime, *, going: Callable[[], bool] = lambda: True) -> Mapping[str, int]:
        """Purge what is over, at most `MOST` of each kind in each region with a policy, for as long as `going` says
        so; how many went, by name. Raises `Unavailable`; what went before that is gone."""
        return self._each(now, lambda kind, scope: kind.purge(scope, MOST) if going() else 0)

    def preview(self, now: datetime) -> Mapping[str, int]:
        """How many would go now, by name, counted up to `MOST` for each region with a policy. Changes nothing."""
        return self._each(now, lambda kind, scope: kind.count(scope, MOST))

    def start(self) -> None:
        """From now on `upkeep` does something."""
        self._stopping.clear()

    def stop(self) -> None:
        """No new batch of records; waits for the one in hand."""
        self._stopping.set()
        if self._worker is not None:
            self._worker.join(timeout=STOP_SECONDS)

    def upkeep(self, now: datetime) -> None:
        """Begin a `run` if it is time. Returns at once; what fails is logged and tried again the next time."""
        due = self._next is None or now >= self._next
        if self._stopping.is_set() or not due or (self._worker is not None and self._worker.is_alive()):
            return
        self._next = now + EVERY
        self._worker = threading.Thread(target=self._work, args=(now,), name="ecard-retention", daemon=True)
        self._worker.start()

    def _work(self, now: datetime) -> None:
        try:
            gone = {name: count for name, count in self.run(now, going=self._going).items() if count}
        except EcardError as error:
            _log.warning("retention: %s", error)
            return
        if gone:
            _log.info("retention: %s", ", ".join(f"{count} of {name}" for name, count in gone.items()))

    def _going(self) -> bool:
        return not self._stopping.is_set()

    def scopes(self, term: str, now: datetime, *, regional: bool) -> tuple[Scope, ...]:
        """Where which date counts for a term of `Retention`. A region without an end has none."""
        regions = self._book.regions() | {ANY_REGION} if regional else {ANY_REGION}
        found = []
        for region in sorted(regions):
            days: int | None = getattr(self._book.policy_of(region, now).retention, term)
            if days is not None:
                below = tuple(other for other in sorted(regions) if other != region and covers(region, other))
                found.append(Scope(region, below, now - timedelta(days=days)))
        return tuple(found)

    def _each(self, now: datetime, do: Callable[[Purgeable, Scope], int]) -> Mapping[str, int]:
        done: dict[str, int] = {}
        failed: EcardError | None = None
        for kind in self._kinds:
            done[kind.name] = 0
            try:
                for scope in self.scopes(kind.term, now, regional=kind.regional):
                    done[kind.name] += do(kind, scope)
            except EcardError as error:  # one kind failing keeps no other from its turn
                failed = failed or error
        if failed is not None:
            raise failed
        return done
