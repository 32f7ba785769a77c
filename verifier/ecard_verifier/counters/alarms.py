"""What is odd enough for a person to look, raised once per event and counted from then on."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from ecard_card.errors import NotFound
from ecard_verifier.counters.model import COUNTER_PREFIX, Alarm, AlarmKind, Counter
from ecard_verifier.counters.ports import Ledger, Organisation
from ecard_verifier.counters.secret import digest

#: Refused codes of one counter within `_HOUR` that make an alarm.
MOST_FAILURES: Final = 100
_HOUR: Final = timedelta(hours=1)
_MOST_SHOWN: Final = 500


class Alarms:
    """Raises, lists, and puts down who has looked."""

    def __init__(
        self, ledger: Ledger, organisation: Organisation, random_hex: Callable[[int], str] = secrets.token_hex
    ) -> None:
        self._ledger, self._organisation, self._random_hex = ledger, organisation, random_hex

    def two_counters(self, showing: str, here: Counter, first: str, now: datetime) -> None:
        """One code at two counters: an alarm for each, and neither names the other."""
        incident = digest("incident", showing)[:32]
        self._raise(AlarmKind.TWO_COUNTERS, incident, here.group_id, here.counter_id, now)
        if not first.startswith(COUNTER_PREFIX):
            return
        try:
            other = self._organisation.counter(first, None)
        except NotFound:
            return
        self._raise(AlarmKind.TWO_COUNTERS, incident, other.group_id, other.counter_id, now)

    def failed(self, counter: Counter, now: datetime) -> None:
        """A code was refused at `counter`, and its row is written."""
        if self._ledger.failures(counter.counter_id, now - _HOUR) >= MOST_FAILURES:
            self.at_counter(AlarmKind.FAILURES, counter, now)

    def at_counter(self, kind: AlarmKind, counter: Counter, now: datetime) -> None:
        """One alarm in each hour."""
        self._raise(kind, f"{now:%Y%m%d%H}", counter.group_id, counter.counter_id, now)

    def contradicted(self, scan: str, counter: Counter, now: datetime) -> None:
        """A page alone accepted what is refused now; `scan` is the digest of that scan."""
        self._raise(AlarmKind.UPLOAD, scan[:32], counter.group_id, counter.counter_id, now)

    def admission_guessing(self, now: datetime) -> None:
        """Of the service itself: whoever guesses belongs to no group."""
        self._raise(AlarmKind.ADMISSIONS, f"{now:%Y%m%d%H}", None, None, now)

    def list(self, within: str | None, *, open_only: bool) -> Sequence[Alarm]:
        """Newest first. A group sees its own, without what would join them to another's."""
        found = self._ledger.alarms(within, open_only=open_only, most=_MOST_SHOWN)
        return found if within is None else [replace(alarm, incident="") for alarm in found]

    def acknowledge(self, alarm_id: str, within: str | None, by: str, now: datetime) -> Alarm:
        """Somebody has looked; the first one stays. Raises `NotFound` `alarm_unknown`."""
        self._ledger.alarm(alarm_id, within)
        self._ledger.acknowledge(alarm_id, by, now)
        alarm = self._ledger.alarm(alarm_id, within)
        return alarm if within is None else replace(alarm, incident="")

    def _raise(
        self, kind: AlarmKind, incident: str, group_id: str | None, counter_id: str | None, now: datetime
    ) -> None:
        alarm_id = "alm_" + self._random_hex(8)
        self._ledger.raise_alarm(Alarm(alarm_id, kind, incident, group_id, counter_id, now, now, 1))
