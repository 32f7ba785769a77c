"""People: keyed references to find them and their cards by, and their personal data sealed at rest.

An ID number, a name, a card number or a chip's identification code is never stored or looked up in the clear:
it is found by a keyed hash and read back only under the person's own data key. Whatever else is kept about a person
is sealed by their `Seal` too, so that destroying one key makes all of it unreadable.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date

from ecard_card.card import CardNumber, Holder, IdentificationCode, IdNumber
from ecard_card.errors import CheckFailed, Conflict, NotFound, Unavailable
from ecard_issuer.ports import Cards
from ecard_issuer.rows import HolderRow
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

    def bank_account(self, bank_code: str, number: str) -> str:
        return self._keyed("bank-account", f"{bank_code}\n{number}".encode())

    def confirmation(self, service_id: str, holder_ref: str, benefit: str, period: str) -> str:
        """The one id that a confirmation can have: two of one period are the same one."""
        return self._keyed("confirmation", f"{service_id}\n{holder_ref}\n{benefit}\n{period}".encode())

    def pairwise(self, party: str, subject_ref: str) -> str:
        """What one outside party calls a holder or a card: two parties cannot tell that theirs are the same."""
        return self._keyed("pairwise", f"{party}\n{subject_ref}".encode())

    def request(self, kind: str, caller: str, request_id: str) -> str:
        """The id of what a caller asks to be made, from the id that the caller chose: asking again makes nothing new,
        and two callers cannot meet."""
        return self._keyed("request", f"{kind}\n{caller}\n{request_id}".encode())

    def content(self, content: bytes) -> str:
        """Tells a repeated request from another one under the same id, without keeping what was in it."""
        return self._keyed("content", content)

    def _keyed(self, label: str, data: bytes) -> str:
        return self._protector.mac(f"reference/{label}", data)[:16].hex()


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


class People:
    """The persons of the register, with a data key each."""

    def __init__(
        self, register: Cards, protector: Protector, admit: Callable[[IdNumber], None] = lambda number: None
    ) -> None:
        """`admit` raises for numbers of whom nobody is to be entered."""
        self._register = register
        self._protector = protector
        self._admit = admit
        self.references = References(protector)

    def find(self, id_number: IdNumber) -> HolderRow | None:
        """The person with this number, if the register knows them."""
        return self._register.find_holder(self.references.holder(id_number))

    def get(self, holder_ref: str) -> HolderRow:
        """Raises `Unavailable` `register_damaged` where something stands in the register without its person."""
        holder = self._register.find_holder(holder_ref)
        if holder is None:
            raise Unavailable("register_damaged", "a record stands in the register without its holder")
        return holder

    def enter(self, holder: Holder) -> HolderRow:
        """The person as stored; stored now if they were unknown."""
        return self.find(holder.id_number) or self._register.add_holder(self.draft(holder))

    def correct(self, row: HolderRow, holder: Holder) -> HolderRow:
        """Store the person anew, such as under a new name, with the same data key. Raises as `corrected`, and
        `Conflict` `holder_differs` where the data key has changed meanwhile."""
        corrected = self.corrected(row, holder)
        self._register.correct_holder(corrected)
        return corrected

    def corrected(self, row: HolderRow, holder: Holder) -> HolderRow:
        """That row, not stored. Raises `Conflict` `holder_differs` for another person."""
        if self.references.holder(holder.id_number) != row.holder_ref:
            raise Conflict("holder_differs", "another person's number")
        return replace(row, sealed=self.seal_of(row).seal(_written(holder), f"holder/{row.holder_ref}"))

    def draft(self, holder: Holder) -> HolderRow:
        """A row for a person that is not stored yet, with a data key of its own."""
        return self.draft_and_seal(holder)[0]

    def draft_and_seal(self, holder: Holder) -> tuple[HolderRow, Seal]:
        """The same, with the data key for whatever else is to be sealed at once. Raises what `admit` raises."""
        self._admit(holder.id_number)
        holder_ref = self.references.holder(holder.id_number)
        data_key = protect.new_data_key()
        seal = Seal(data_key)
        row = HolderRow(
            holder_ref=holder_ref,
            wrapped_data_key=self._protector.wrap(data_key, context=holder_ref.encode()),
            sealed=seal.seal(_written(holder), f"holder/{holder_ref}"),
        )
        return row, seal

    def person(self, row: HolderRow) -> Holder:
        """Who that is. Raises `Unavailable` `register_damaged` if it does not open."""
        person = json.loads(self.seal_of(row).open(row.sealed, f"holder/{row.holder_ref}"))
        born = date.fromisoformat(person["born"]) if "born" in person else None
        return Holder(IdNumber(person["id_number"]), person["name"], born)

    def seal_of(self, row: HolderRow) -> Seal:
        """The person's data key, to seal or open what belongs to them. Raises `NotFound` `person_erased`."""
        if row.erased:
            raise NotFound("person_erased", "this person's data key was destroyed")
        return Seal(self._protector.unwrap(row.wrapped_data_key, context=row.holder_ref.encode()))


def _written(holder: Holder) -> bytes:
    person = {"id_number": holder.id_number.text, "name": holder.name}
    if holder.born is not None:
        person["born"] = holder.born.isoformat()
    return json.dumps(person, ensure_ascii=False).encode()
