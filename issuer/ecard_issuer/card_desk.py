"""Registering cards: each under its reference, with its numbers sealed under its holder's data key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ecard_card.card import Card, CardNumber, Chip, Holder, IdentificationCode, IdNumber
from ecard_card.errors import Conflict
from ecard_card.status import CardStatus
from ecard_issuer.chip.judge import shared_key_reference
from ecard_issuer.people import People, Seal
from ecard_issuer.ports import Cards
from ecard_issuer.rows import CardRow, HolderRow


@dataclass(frozen=True, slots=True)
class Identity:
    """A card's personal data, opened for one use."""

    holder: Holder
    number: CardNumber
    code: IdentificationCode


class CardDesk:
    """Puts cards into the register and reads their personal data back."""

    def __init__(
        self, register: Cards, people: People, arrived: Callable[[str, datetime], None] = lambda card_ref, now: None
    ) -> None:
        """`arrived` hears of each card that was registered, for what waits for it."""
        self._register = register
        self._arrived = arrived
        self.people = people
        self.references = people.references

    def register(self, card: Card, status: CardStatus, now: datetime) -> str:
        """Store a card of the card register and return its reference.

        Raises `Conflict` `card_exists`, `chip_key_taken`.
        """
        card_ref = self.references.card(card.chip.identification_code)
        holder_ref = self.references.holder(card.holder.id_number)
        held = self._register.find_holder(holder_ref)
        try:
            self._add(card, status, held or self.people.draft(card.holder), now)
        except Conflict as conflict:
            # Somebody registered this person's first card a moment ago: seal under the key they chose. Or the person
            # was erased a moment ago: this card begins them anew.
            if conflict.code not in ("holder_exists", "holder_erased"):
                raise
            held = self._register.find_holder(holder_ref)
            self._add(card, status, held or self.people.draft(card.holder), now)
        self._arrived(card_ref, now)
        return card_ref

    def identity(self, card: CardRow, holder: HolderRow | None = None) -> Identity:
        """The personal data behind `card`, whose `holder` may be given where it was read with others. Raises
        `Unavailable` `register_damaged` if it does not open."""
        holder_row = holder or self.people.get(card.holder_ref)
        chip = json.loads(self.people.seal_of(holder_row).open(card.sealed_identity, f"card/{card.card_ref}"))
        return Identity(
            self.people.person(holder_row),
            CardNumber(chip["number"]),
            IdentificationCode(chip["code"]),
        )

    def seal_of(self, card: CardRow, holder: HolderRow | None = None) -> Seal:
        """The data key of the card's holder, to seal or open what belongs to them."""
        return self.people.seal_of(holder or self.people.get(card.holder_ref))

    def cards_of(self, id_number: IdNumber) -> Sequence[CardRow]:
        return self._register.cards_of_holder(self.references.holder(id_number))

    def cards_numbered(self, number: CardNumber) -> Sequence[CardRow]:
        return self._register.cards_by_number(self.references.card_number(number))

    def card_of(self, code: IdentificationCode) -> CardRow:
        """Raises `NotFound` `card_unknown`."""
        return self._register.get_card(self.references.card(code))

    def draft(
        self, card: Card, status: CardStatus, holder: HolderRow, now: datetime, seal: Seal | None = None
    ) -> CardRow:
        """A row for a card that is not stored yet, its numbers sealed under its holder's data key (`seal`, if open)."""
        card_ref = self.references.card(card.chip.identification_code)
        identity = {"code": card.chip.identification_code.text, "number": card.number.text}
        return CardRow(
            card_ref=card_ref,
            region=card.chip.identification_code.region,
            number_mac=self.references.card_number(card.number),
            holder_ref=holder.holder_ref,
            chip_profile=card.chip.profile,
            sealed_identity=(seal or self.people.seal_of(holder)).seal(
                json.dumps(identity).encode(), f"card/{card_ref}"
            ),
            status=status,
            issued_on=card.issued_on,
            expires_on=card.expires_on,
            created_at=now,
            updated_at=now,
            chip_key_ref=self._chip_key(card.chip),
        )

    def _add(self, card: Card, status: CardStatus, holder: HolderRow, now: datetime) -> None:
        self._register.add_card(self.draft(card, status, holder, now), holder)

    def _chip_key(self, chip: Chip) -> str | None:
        """The key the chip must prove itself with, if the card's making told us; else its first proof does."""
        if chip.public_key is not None:
            return self.references.chip_key(hashlib.sha256(chip.public_key).digest())
        if chip.atr_historical is not None:
            code = chip.identification_code.text
            return self.references.chip_key(shared_key_reference(code, chip.atr_historical))
        return None
