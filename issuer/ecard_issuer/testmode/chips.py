"""The simulated chips of magic people. Their keys are derived from the test issuer's own secret, so that a chip is the
same after a restart and no file holds it; another test issuer's chips have other keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Final

from ecard_card.errors import NotFound
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.judge import Anchor
from ecard_issuer.chip.prove import prove_chip
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.simulator import ChipAuthority, ChipData, SimulatedChip, piv_style
from ecard_issuer.chip.simulator.certificates import AUTHORITY_NAME
from ecard_issuer.testmode.derived_keys import derived_key
from ecard_issuer.testmode.people import MAGIC_PEOPLE, card_number, identification_code
from ecard_keys.protect import Protector

PROFILE: Final = "test:piv-p256"


class TestChips:
    """The chips by person and generation: how many cards the person had before."""

    __test__ = False  # no test case, whatever its name begins with

    def __init__(self, protector: Protector, clock: Callable[[], datetime]) -> None:
        self._protector, self._clock = protector, clock
        self._authority = ChipAuthority.create(clock(), private_key=derived_key(protector, "authority"))

    @property
    def anchor(self) -> Anchor:
        """Whom the test issuer believes about chips."""
        return Anchor(AUTHORITY_NAME, self._authority.der)

    def chip(self, number: int, generation: int, issued_on: date, expires_on: date) -> SimulatedChip:
        """A chip as its maker delivered it. Raises `NotFound` `test_person_unknown`."""
        person = MAGIC_PEOPLE.get(number)
        if person is None:
            raise NotFound("test_person_unknown", f"the table has people 1 to {max(MAGIC_PEOPLE)}")
        data = ChipData(
            identification_code=identification_code(number, generation).text,
            issued_on=issued_on,
            expires_on=expires_on,
            card_number=card_number(number, generation).text,
            id_number=person.id_number,
            name=person.name,
            sex="1" if number % 2 else "2",
            birth_date=person.born,
        )
        key = derived_key(self._protector, f"chip/{number}/{generation}")
        return piv_style(now=self._clock(), authority=self._authority, data=data, private_key=key)


def answer(chip: SimulatedChip, digest: bytes) -> Evidence:
    """What a desk sends of this chip: what it reads, and its answer to a challenge's digest.

    Raises `InvalidInput` `bad_chip_challenge` for another length than 32 bytes.
    """
    with InProcessReader(chip) as reader:
        reading = read_chip(reader)
        return Evidence(reading, prove_chip(reader, reading, digest))
