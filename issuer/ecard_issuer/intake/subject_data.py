"""What the intake keeps about a person, for that person to read: events about their cards that were not taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ecard_issuer.intake.answers import exception_answer
from ecard_issuer.intake.ports import ExceptionStore
from ecard_issuer.people import Seal
from ecard_issuer.ports import Cards
from ecard_issuer.rows import HolderRow

_SHOWN = ("source", "code", "meaning", "card_ref", "change", "occurred_at", "first_seen", "count")


class WaitingEvents:
    """A `SubjectData`: nothing here is sealed, for nothing here names anybody."""

    section = "card_events_not_taken"

    def __init__(self, cards: Cards, exceptions: ExceptionStore) -> None:
        self._cards, self._exceptions = cards, exceptions

    def of_holder(self, holder: HolderRow, seal: Seal) -> Sequence[Mapping[str, object]]:
        found = []
        for card in self._cards.cards_of_holder(holder.holder_ref):
            for row in self._exceptions.waiting_for(card.card_ref, card.number_mac):
                answer = exception_answer(row)
                found.append({name: answer[name] for name in _SHOWN})
        return found
