"""Registering cards and holders: keyed references to find them by, and their personal data sealed at rest.

An ID number, a name, a card number or a chip's identification code is never stored or looked up in the clear:
it is found by a keyed hash and read back only under the person's own data key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ecard_card.card import Card, CardNumber, Chip, Holder, IdentificationCode, IdNumber
from ecard_card.errors import CheckFailed, Conflict, Unavailable
from ecard_card.status import CardStatus
from ecard_issuer.chip.judge import shared_key_reference
from ecard_issuer.ports import Cards
from ecard_issuer.rows import CardRow, HolderRow
from ecard_keys import protect
from ecard_keys.protect import Protector


class References:
    """The keyed hashes by which the register knows a chip, a card number, a person. 128 bits, hex."""

    def __init__(self, protector: Protector) -> None:
        self._protector = protector

    def card(self, code: IdentificationCode) -> str:
        return self._keyed("card", code.text.encode())

    def card_number(self, number: CardNumber) -> str:
        return self._keyed("card-number", number.text.encode())

    def holder(self, id_number: IdNumber) -> str:
        return self._keyed("holder", id_number.text.encode())

    def chip_key(self, key_reference: bytes) -> str:
        """`key_reference` is `Judgement.key_reference`; for an on-chip key the SHA-256 of its DER public key."""
        return self._keyed("chip-key", key_reference)

    def chip_claim(self, card_ref: str) -> str:
        """What a credential says of its chip: a reference of its own, useless in the register."""
        return self._keyed("chip-claim", card_ref.encode())

    def _keyed(self, label: str, data: bytes) -> str:
        return self._protector.mac(f"reference/{label}", data)[:16].hex()


@dataclass(frozen=True, slots=True)
class Identity:
    """A card's personal data, opened for one use."""

    holder: Holder
    number: CardNumber
    code: IdentificationCode


@dataclass(frozen=True, slots=True)
class Seal:
    """One person's data key, opened for one use. `repr` shows nothing."""

    _data_key: bytes = field(repr=False)

    def seal(self, plaintext: bytes, context: str) -> bytes:
        return protect.seal(self._data_key, plaintext, context=context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        try:
            return protect.open_(self._data_key, sealed, context=context.encode())
        except CheckFailed:
            raise Unavailable("register_damaged", "sealed data was altered, or lies under another record") from None


class CardDesk:
    """Puts cards into the register and reads their personal data back."""

    def __init__(self, register: Cards, protector: Protector) -> None:
        self._register = register
        self._protector = protector
        self.references = References(protector)

    def register(self, card: Card, status: CardStatus, now: datetime) -> str:
        """Store a card of the card register and return its reference.

        Raises `Conflict` `card_exists`, `chip_key_taken`.
        """
        card_ref = self.references.card(card.chip.identification_code)
        holder_ref = self.references.holder(card.holder.id_number)
        held = self._register.find_holder(holder_ref)
        try:
            self._add(card, card_ref, status, held or self._new_holder(card.holder, holder_ref), now)
        except Conflict as conflict:
            # Somebody registered this person's first card a moment ago: seal under the key they chose.
            if conflict.code != "holder_exists" or (held := self._register.find_holder(holder_ref)) is None:
                raise
            self._add(card, card_ref, status, held, now)
        return card_ref

    def identity(self, card: CardRow, holder: HolderRow | None = None) -> Identity:
        """The personal data behind `card`, whose `holder` may be given where it was read with others. Raises
        `Unavailable` `register_damaged` if it does not open."""
        holder_row = holder or self._holder(card)
        seal = self._seal(holder_row)
        person = json.loads(seal.open(holder_row.sealed, f"holder/{card.holder_ref}"))
        chip = json.loads(seal.open(card.sealed_identity, f"card/{card.card_ref}"))
        return Identity(
            Holder(IdNumber(person["id_number"]), person["name"]),
            CardNumber(chip["number"]),
            IdentificationCode(chip["code"]),
        )

    def seal_of(self, card: CardRow, holder: HolderRow | None = None) -> Seal:
        """The data key of the card's holder, to seal or open what belongs to them."""
        return self._seal(holder or self._holder(card))

    def cards_of(self, id_number: IdNumber) -> Sequence[CardRow]:
        return self._register.cards_of_holder(self.references.holder(id_number))

    def cards_numbered(self, number: CardNumber) -> Sequence[CardRow]:
        return self._register.cards_by_number(self.references.card_number(number))

    def card_of(self, code: IdentificationCode) -> CardRow:
        """Raises `NotFound` `card_unknown`."""
        return self._register.get_card(self.references.card(code))

    def _add(self, card: Card, card_ref: str, status: CardStatus, holder: HolderRow, now: datetime) -> None:
        identity = {"code": card.chip.identification_code.text, "number": card.number.text}
        row = CardRow(
            card_ref=card_ref,
            region=card.chip.identification_code.region,
            number_mac=self.references.card_number(card.number),
            holder_ref=holder.holder_ref,
            chip_profile=card.chip.profile,
            sealed_identity=self._seal(holder).seal(json.dumps(identity).encode(), f"card/{card_ref}"),
            status=status,
            issued_on=card.issued_on,
            expires_on=card.expires_on,
            created_at=now,
            updated_at=now,
            chip_key_ref=self._chip_key(card.chip),
        )
        self._register.add_card(row, holder)

    def _chip_key(self, chip: Chip) -> str | None:
        """The key the chip must prove itself with, if the card's making told us; else its first proof does."""
        if chip.public_key is not None:
            return self.references.chip_key(hashlib.sha256(chip.public_key).digest())
        if chip.atr_historical is not None:
            code = chip.identification_code.text
            return self.references.chip_key(shared_key_reference(code, chip.atr_historical))
        return None

    def _new_holder(self, holder: Holder, holder_ref: str) -> HolderRow:
        data_key = protect.new_data_key()
        person = json.dumps({"id_number": holder.id_number.text, "name": holder.name}, ensure_ascii=False)
        return HolderRow(
            holder_ref=holder_ref,
            wrapped_data_key=self._protector.wrap(data_key, context=holder_ref.encode()),
            sealed=Seal(data_key).seal(person.encode(), f"holder/{holder_ref}"),
        )

    def _holder(self, card: CardRow) -> HolderRow:
        holder = self._register.find_holder(card.holder_ref)
        if holder is None:
            raise Unavailable("register_damaged", "a card stands in the register without its holder")
        return holder

    def _seal(self, holder: HolderRow) -> Seal:
        return Seal(self._protector.unwrap(holder.wrapped_data_key, context=holder.holder_ref.encode()))
