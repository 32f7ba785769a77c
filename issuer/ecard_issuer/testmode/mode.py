"""Whether an issuer is live or a test issuer: fixed at its first start, and kept in its register.

A register that was live once can never be opened as a test issuer's, nor the other way round: its cards would get or
lose the mark that tells the two apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, select

from ecard_card.card import IdNumber
from ecard_card.errors import Conflict, NotAllowed
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, insert_new

#: How the ids of channels' apps begin.
LIVE_APP: Final = "ek_live_"
TEST_APP: Final = "ek_test_"
#: How the numbers of magic people begin. No code of GB/T 2260 begins with 00, so nobody has such a number.
TEST_NUMBERS: Final = "000099"
_NAME: Final = "issuer"


@dataclass(frozen=True, slots=True)
class Mode:
    """`other_origin` is where the issuer of the other mode is, if this one was told."""

    test: bool
    other_origin: str | None = None

    @property
    def app_prefix(self) -> str:
        """How the ids of this issuer's apps begin."""
        return TEST_APP if self.test else LIVE_APP

    def require_own(self, app_id: str) -> None:
        """Return unless `app_id` is of the other mode. Raises `NotAllowed` `app_of_other_mode`, which says where that
        app belongs."""
        if app_id.startswith(LIVE_APP if self.test else TEST_APP):
            kind = "live" if self.test else "test"
            place = self.other_origin or f"the {kind} issuer's origin"
            raise NotAllowed("app_of_other_mode", f"this is a {kind} app: use it at {place}")

    def require_person(self, number: IdNumber) -> None:
        """Return if somebody of this number may be registered here. Raises `NotAllowed` `test_person_refused`."""
        if not self.test and is_test_number(number):
            raise NotAllowed("test_person_refused", "a number of test mode; nobody has it")


def is_test_number(number: IdNumber) -> bool:
    """Whether this is a number of a magic person."""
    return number.text.startswith(TEST_NUMBERS)


def settle_mode(engine: Engine, *, test: bool, fresh: bool) -> None:
    """Write the mode down in a fresh register, or compare it with what stands there.

    Raises `Conflict` `issuer_mode_fixed`.
    """
    if _SqlMode(engine).settle(test=test, fresh=fresh) is not test:
        stands, wanted = ("live", "test") if test else ("test", "live")
        raise Conflict("issuer_mode_fixed", f"this register is a {stands} issuer's, and never becomes a {wanted} one")


class _SqlMode(Store):
    def settle(self, *, test: bool, fresh: bool) -> bool:
        """The mode that stands in the register, which is live where none was ever written."""
        mode = tables.issuer_mode
        with self._writing() as connection:
            if fresh:
                insert_new(connection, mode, name=_NAME, test=test)
            return bool(connection.scalar(select(mode.c.test).where(mode.c.name == _NAME)))
