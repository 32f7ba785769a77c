"""What the end of a card says of its person: that they died or settled abroad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ecard_card.china import china_date
from ecard_card.life import LifeStatus
from ecard_issuer.life.values import CancellationCause, CaseRow
from ecard_issuer.mandates.desk import Lives, Mandates
from ecard_issuer.people import People

_LIVES: Final[Mapping[CancellationCause, LifeStatus]] = {
    CancellationCause.DEATH: LifeStatus.DEAD,
    CancellationCause.EMIGRATION: LifeStatus.EMIGRATED,
}


class PersonLives:
    """Writes it down, after the cards have ended. Doing it again changes nothing."""

    def __init__(self, people: People, lives: Lives, mandates: Mandates) -> None:
        self._people = people
        self._lives = lives
        self._mandates = mandates

    def ended(self, holder_ref: str, cause: CancellationCause, case: CaseRow) -> None:
        """Record what `case` says of the person, and end the mandates of the dead.

        It counts from the moment of the case: what was said of the person later, to put an error right, stands. Whoever
        is known to be dead stays so, since the day that was said first. Raises `Unavailable`.
        """
        life, holder = _LIVES.get(cause), self._people.get(holder_ref)
        if life is None or holder.erased:
            return
        if self._lives.of(holder_ref) not in (life, LifeStatus.DEAD):
            self._lives.record(holder, life, china_date(case.opened_at), case.caller, case.opened_at)
        if self._lives.of(holder_ref) is LifeStatus.DEAD:
            self._mandates.end_all(holder_ref, case.caller, case.opened_at)
