"""The magic people of a test issuer: who they are and what becomes of whoever claims their e-card.

`docs/test-mode.md` has the same table for readers. Numbers, names and PIN are public: nobody has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ecard_card.card import CardNumber, Holder, IdentificationCode, IdNumber, card_number_check, id_number_check
from ecard_card.region import EVERYWHERE
from ecard_issuer.testmode.mode import TEST_NUMBERS

#: The PIN of every magic card, but for the one whose PIN is locked, and the child's, which has the initial one.
TEST_PIN: Final = "158369"
#: Seconds that the slow person keeps everybody waiting who looks them up by number.
SLOW_SECONDS: Final = 3.0
#: Days from the seeding until the expiring card has expired.
EXPIRING_DAYS: Final = 3
_RID: Final = "D156000005"
_SERIALS: Final = 0x7E000000
#: How many cards one magic person may use up between them: a cancelled card is final, a reset gives the next one.
MAX_GENERATION: Final = 0xFFFF


class Outcome(StrEnum):
    """What is fixed about a magic person."""

    NORMAL = "normal"
    LOST = "lost"
    TEMPORARILY_LOST = "temporarily_lost"
    LOCKED = "locked"
    CANCELLED = "cancelled"
    EXPIRING = "expiring"
    REPLACING = "replacing"
    SLOW = "slow"
    FLAPPING = "flapping"
    PIN_LOCKED = "pin_locked"
    CHILD = "child"
    CHIP_FIRST = "chip_first"


@dataclass(frozen=True, slots=True)
class MagicPerson:
    """`number` counts from 1; the eighteen characters are `id_number`."""

    number: int
    name: str
    born: date
    outcome: Outcome
    id_number: str = field(init=False)

    def __post_init__(self) -> None:
        body = f"{TEST_NUMBERS}{self.born:%Y%m%d}{self.number:03d}"
        object.__setattr__(self, "id_number", body + id_number_check(body))

    @property
    def holder(self) -> Holder:
        return Holder(IdNumber(self.id_number), self.name)


def _adult(number: int, name: str, outcome: Outcome) -> MagicPerson:
    return MagicPerson(number, name, date(1990, 1, number), outcome)


_EVERYBODY: Final = (
    _adult(1, "测试一", Outcome.NORMAL),
    _adult(2, "测试二", Outcome.LOST),
    _adult(3, "测试三", Outcome.TEMPORARILY_LOST),
    _adult(4, "测试四", Outcome.LOCKED),
    _adult(5, "测试五", Outcome.CANCELLED),
    _adult(6, "测试六", Outcome.EXPIRING),
    _adult(7, "测试七", Outcome.REPLACING),
    _adult(8, "测试八", Outcome.SLOW),
    _adult(9, "测试九", Outcome.FLAPPING),
    _adult(10, "测试十", Outcome.PIN_LOCKED),
    _adult(11, "测试十一", Outcome.CHIP_FIRST),
    MagicPerson(12, "测试十二", date(2018, 6, 1), Outcome.CHILD),
)
#: By their number in the table.
MAGIC_PEOPLE: Final[Mapping[int, MagicPerson]] = MappingProxyType({one.number: one for one in _EVERYBODY})
SLOW_NUMBERS: Final = frozenset(one.id_number for one in _EVERYBODY if one.outcome is Outcome.SLOW)


def identification_code(number: int, generation: int) -> IdentificationCode:
    """The code of a magic person's card: the first one, or one that followed."""
    return IdentificationCode(f"{EVERYWHERE}{_RID}{_SERIALS + number:08X}{generation:08X}")


def card_number(number: int, generation: int) -> CardNumber:
    """Its nine characters."""
    body = f"T{number:03d}{generation:04X}"
    return CardNumber(body + card_number_check(body))
