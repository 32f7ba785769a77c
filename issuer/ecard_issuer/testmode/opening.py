"""What an issuer has of test mode: always a mode, and magic people only where it is a test issuer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ecard_card.errors import EcardError
from ecard_issuer.chip.judge import Anchors
from ecard_issuer.config import IssuerSettings
from ecard_issuer.links.opening import Linking
from ecard_issuer.links.providers import IdentityProviders
from ecard_issuer.people import People
from ecard_issuer.ports import Cards
from ecard_issuer.testmode.cards import Rooms, TestCards
from ecard_issuer.testmode.chips import TestChips
from ecard_issuer.testmode.desk import TestDesk
from ecard_issuer.testmode.identity import TestIdentity
from ecard_issuer.testmode.mode import Mode
from ecard_issuer.testmode.slow import TestPeople
from ecard_keys.protect import Protector

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TestMode:
    """`cards` are those of the magic people, `desk` what developers ask for; None at a live issuer."""

    __test__ = False  # no test case, whatever its name begins with

    mode: Mode
    cards: TestCards | None = None
    desk: TestDesk | None = None
    providers: IdentityProviders | None = None

    def seed(self, now: datetime) -> None:
        """Have everybody there, at the start of a test issuer. Logged where it fails; the next start goes on."""
        if self.cards is None or self.desk is None or self.providers is None:
            return
        try:
            self.cards.seed(now)
            self.desk.identity.register(self.providers, now)
        except EcardError as error:
            _log.warning("test mode: %s", error)

    def upkeep(self, now: datetime) -> None:
        """What magic people do as time goes by."""
        if self.cards is not None:
            self.cards.flap(now)


def mode_of(settings: IssuerSettings) -> Mode:
    """The mode that the settings say."""
    return Mode(settings.test_mode, settings.live_origin if settings.test_mode else settings.test_origin)


def people_of(mode: Mode, register: Cards, protector: Protector) -> People:
    """A test issuer's people, or a live one's, who have no magic numbers."""
    return TestPeople(register, protector) if mode.test else People(register, protector, mode.require_person)


def chips_of(mode: Mode, protector: Protector, clock: Callable[[], datetime]) -> TestChips | None:
    return TestChips(protector, clock) if mode.test else None


def anchors_of(chips: TestChips) -> Anchors:
    """A test issuer believes its own simulated chips, and nobody's besides."""
    return Anchors((chips.anchor,), allow_test=True)


def open_test_mode(
    mode: Mode, chips: TestChips | None, rooms: Rooms, linking: Linking, protector: Protector, issuer: str
) -> TestMode:
    """All of it; without `chips`, which a live issuer has not, the mode alone."""
    if chips is None:
        return TestMode(mode)
    cards = TestCards(rooms, chips)
    identity = TestIdentity(protector, issuer)
    return TestMode(mode, cards, TestDesk(cards, identity, linking.links, rooms.register), linking.providers)
