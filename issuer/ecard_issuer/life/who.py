"""Which card is meant: by its reference, by its e-card, or by the person's number and name (and region)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ecard_card.card import Holder
from ecard_card.errors import Conflict, InvalidInput, NotFound
from ecard_card.status import CardStatus
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.ports import Cards
from ecard_issuer.rows import CardRow


@dataclass(frozen=True, slots=True)
class Who:
    """Exactly one of the three. Raises `InvalidInput` `bad_search`."""

    card_ref: str | None = None
    ecard_id: str | None = None
    holder: Holder | None = field(default=None, repr=False)
    region: str | None = None  # beside `holder`: the card of this region

    def __post_init__(self) -> None:
        if [self.card_ref, self.ecard_id, self.holder].count(None) != 2:
            raise InvalidInput("bad_search", "give exactly one of card_ref, ecard_id and holder")
        if self.region is not None and self.holder is None:
            raise InvalidInput("bad_search", "a region goes with a holder")


class Finder:
    """Finds the card that a request means."""

    def __init__(self, register: Cards, desk: CardDesk) -> None:
        self._register = register
        self._desk = desk

    def card(self, who: Who) -> CardRow:
        """The card, which may be cancelled only where it was named itself or a new one is made for it.

        Raises `NotFound` `card_unknown` (also for a name that is not the person's: who guesses learns nothing),
        `Conflict` `several_cards` with the regions to choose from.
        """
        if who.card_ref is not None:
            return self._register.get_card(who.card_ref)
        if who.ecard_id is not None:
            card_ref = self._register.card_of_ecard(who.ecard_id)
            if card_ref is None:
                raise _unknown()
            return self._register.get_card(card_ref)
        return _one([card for card in self._of_holder(who) if who.region in (None, card.region)])

    def _of_holder(self, who: Who) -> Sequence[CardRow]:
        if who.holder is None:
            raise _unknown()
        row = self._desk.people.find(who.holder.id_number)
        if row is None or self._desk.people.person(row).name != who.holder.name:
            raise _unknown()
        cards = self._register.cards_of_holder(row.holder_ref)
        return [card for card in cards if card.status is not CardStatus.CANCELLED or card.replacing]


def _one(cards: Sequence[CardRow]) -> CardRow:
    if not cards:
        raise _unknown()
    if len(cards) > 1:
        regions = ", ".join(sorted({card.region for card in cards}))
        raise Conflict("several_cards", f"the holder has cards of {regions}: say which region, or the card's reference")
    return cards[0]


def _unknown() -> NotFound:
    return NotFound("card_unknown", "no such card in the register")
