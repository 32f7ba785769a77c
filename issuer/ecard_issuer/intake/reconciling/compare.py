"""Register and snapshot side by side, both in the order of references: every difference, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ecard_card.region import covers
from ecard_issuer.intake.reconciling.snapshot import Seen
from ecard_issuer.rows import CardRow


class Kind(StrEnum):
    """How register and snapshot differ."""

    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    STATUS = "status_differs"
    EXPIRY = "expiry_differs"
    HOLDER = "holder_differs"
    NUMBER = "number_differs"
    TWICE = "twice_there"  # the snapshot has the card in two rows; the first is compared
    FOREIGN = "other_region"  # a row of the snapshot that is of another region than was asked for
    UNREADABLE = "unreadable_row"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `sequence` is the register's count of the card's changes when it was compared."""

    kind: Kind
    card_ref: str | None = None
    here: str | int | None = None
    there: str | int | None = None
    sequence: int | None = None
    row: int | None = None

    def as_json(self) -> dict[str, object]:
        """A line of the report."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}


@dataclass(slots=True)
class Tally:
    """How many cards were in both."""

    compared: int = 0


def differences(cards: Iterator[CardRow], seen: Iterator[Seen], region: str, tally: Tally) -> Iterator[Difference]:
    """Both streams in the order of `card_ref`. Cards of other regions than `region` are left out here."""
    card = _next_here(cards, region)
    item = next(seen, None)
    while card is not None or item is not None:
        if item is not None and (card is None or item.card_ref <= card.card_ref):
            first, item = item, next(seen, None)
            while item is not None and item.card_ref == first.card_ref:
                yield Difference(Kind.TWICE, item.card_ref, first.row, item.row, row=item.row)
                item = next(seen, None)
            if not covers(region, first.region):
                yield Difference(Kind.FOREIGN, first.card_ref, there=first.region, row=first.row)
            elif card is None or card.card_ref != first.card_ref:
                yield Difference(Kind.MISSING_HERE, first.card_ref, there=first.status, row=first.row)
            else:
                tally.compared += 1
                yield from _of_card(card, first)
                card = _next_here(cards, region)
        elif card is not None:
            yield Difference(Kind.MISSING_THERE, card.card_ref, int(card.status), sequence=card.sequence)
            card = _next_here(cards, region)


def _next_here(cards: Iterator[CardRow], region: str) -> CardRow | None:
    return next((card for card in cards if covers(region, card.region)), None)


def _of_card(card: CardRow, seen: Seen) -> Iterator[Difference]:
    def found(kind: Kind, here: str | int | None = None, there: str | int | None = None) -> Difference:
        return Difference(kind, card.card_ref, here, there, card.sequence, seen.row)

    if int(card.status) != seen.status:
        yield found(Kind.STATUS, int(card.status), seen.status)
    if card.expires_on != seen.expires_on:
        yield found(Kind.EXPIRY, card.expires_on.isoformat(), seen.expires_on.isoformat())
    if card.holder_ref != seen.holder_ref:  # whose it is stays behind the keyed references, which are not said
        yield found(Kind.HOLDER)
    if card.number_mac != seen.number_mac:
        yield found(Kind.NUMBER)
