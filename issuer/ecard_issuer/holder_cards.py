"""The cards of one person, in one place or two: which one a counter of a region would meet.

A card belongs to its place of issue (发卡地, AAB301). A counter meets one that can be used before one that cannot,
then the one issued nearest (same county, city, province, then elsewhere: cards are valid nationwide), then the newest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ecard_card.card import IdNumber
from ecard_card.errors import InvalidInput
from ecard_card.region import is_region
from ecard_card.status import CardStatus, EcardStatus
from ecard_issuer.card_effect import PolicyOf, card_effect
from ecard_issuer.people import References
from ecard_issuer.ports import Cards
from ecard_issuer.rows import CardRow

#: Digits that two regions share: the county, the city, the province, only the country.
_SHARED: Final = (6, 4, 2, 0)


@dataclass(frozen=True, slots=True)
class HeldCard:
    """A card, and what its status makes of its e-card now."""

    card: CardRow
    effect: EcardStatus


def met_by(held: Iterable[HeldCard], region: str) -> HeldCard | None:
    """The card that a counter of `region` would meet; None where every card was cancelled or replaced.

    Raises `InvalidInput` `bad_region`.
    """
    if not is_region(region):
        raise InvalidInput("bad_region", "a region is six digits")
    live = [one for one in held if one.card.status is not CardStatus.CANCELLED]

    def order(one: HeldCard) -> tuple[bool, int, int, str]:
        nearness = next(step for step, digits in enumerate(_SHARED) if one.card.region[:digits] == region[:digits])
        return one.effect is not EcardStatus.VALID, nearness, -one.card.issued_on.toordinal(), one.card.card_ref

    return min(live, key=order, default=None)


class HolderCards:
    """Lists a person's cards."""

    def __init__(self, register: Cards, references: References, policy_of: PolicyOf) -> None:
        self._register, self._references, self._policy_of = register, references, policy_of

    def of(self, id_number: IdNumber, now: datetime) -> Sequence[HeldCard]:
        """By region, newest first within one; none where nobody is known by this number."""
        cards = self._register.cards_of_holder(self._references.holder(id_number))
        ordered = sorted(cards, key=lambda card: (card.region, -card.issued_on.toordinal(), card.card_ref))
        return [HeldCard(card, card_effect(card, self._policy_of(card.region, now), now)) for card in ordered]
