"""The cards of magic people: seeded once, changed on cue, and brought back to what the table says of them.

Everything goes through the same verbs as a real card's life, so that whoever listens hears what they would hear.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ecard_card.acting import IN_PERSON, Channel
from ecard_card.card import Card, Chip, IdNumber
from ecard_card.china import china_date
from ecard_card.errors import CheckFailed, Conflict, NotFound, RuleViolation
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.enrol import Enrolment
from ecard_issuer.issue import Issuing
from ecard_issuer.levels.business import BusinessType
from ecard_issuer.life.build import Life
from ecard_issuer.life.values import Asked, ReplacementReason
from ecard_issuer.life.who import Who
from ecard_issuer.lifecycle import LifeCycle
from ecard_issuer.pins.pins import Pins
from ecard_issuer.pins.secret import Secret
from ecard_issuer.ports import Cards
from ecard_issuer.rows import CardRow
from ecard_issuer.testmode.chips import PROFILE, TestChips, answer
from ecard_issuer.testmode.people import (
    EXPIRING_DAYS,
    MAGIC_PEOPLE,
    MAX_GENERATION,
    TEST_PIN,
    MagicPerson,
    Outcome,
    card_number,
    identification_code,
)
from ecard_verifier.callers import Caller, Role

_CALLER: Final = Caller("test mode", Role.OPERATOR)
_REASON: Final = "test mode"
_WRONG_PIN: Final = "963851"
_MOST_TRIES: Final = 20
#: What leads back to a card in order, by its status.
_BACK: Final = {
    CardStatus.SEALED: CardChange.ENABLE,
    CardStatus.LOST: CardChange.RELEASE,
    CardStatus.TEMPORARILY_LOST: CardChange.RELEASE,
    CardStatus.LOCKED: CardChange.UNLOCK,
}
#: What leads from a card in order to what the table says.
_FORTH: Final = {
    Outcome.LOST: (CardStatus.LOST, CardChange.REPORT_LOSS),
    Outcome.TEMPORARILY_LOST: (CardStatus.TEMPORARILY_LOST, CardChange.REPORT_TEMPORARY_LOSS),
    Outcome.LOCKED: (CardStatus.LOCKED, CardChange.LOCK),
    Outcome.CANCELLED: (CardStatus.CANCELLED, CardChange.CANCEL),
}


@dataclass(frozen=True, slots=True)
class Rooms:
    """The use cases that magic cards live by."""

    register: Cards
    cards: CardDesk
    lifecycle: LifeCycle
    life: Life
    pins: Pins
    enrolment: Enrolment
    issuing: Issuing


class TestCards:
    """Verbs that name a person raise `NotFound` `test_person_unknown`; those that name a card by its reference, the
    same for one that is no magic person's. Times are aware UTC."""

    __test__ = False  # no test case, whatever its name begins with

    def __init__(self, rooms: Rooms, chips: TestChips) -> None:
        self._rooms, self._chips = rooms, chips

    def seed(self, now: datetime) -> int:
        """Register everybody who is not there yet; how many that were. Cut short, it goes on the next time."""
        missing = 0
        for person in MAGIC_PEOPLE.values():
            cards = self._cards(person)
            if not cards or (len(cards) == 1 and cards[0].sequence == 0):  # nothing has happened to it yet
                self._issue(person, self._make(person, 0, now), 0, now)
                self._settle(person, now)
                missing += not cards
        return missing

    def restore(self, card_ref: str, now: datetime) -> None:
        """Bring the person of this card back to what the table says. A card that cannot come back gets a successor."""
        person = self._person(card_ref)
        card = self._card(person)
        ended = card.status is CardStatus.CANCELLED or card.expires_on <= china_date(now)
        if ended and person.outcome is not Outcome.CANCELLED:
            generation = self._generation(person) + 1
            self._issue(person, self._make(person, generation, now), generation, now)
        self._settle(person, now)

    def change(self, card_ref: str, change: CardChange, now: datetime) -> None:
        """Apply a change, or replace the card by the person's next one. Raises what `LifeCycle` raises."""
        person = self._person(card_ref)
        if change is CardChange.REPLACE:
            generation = self._generation(person) + 1
            successor = self._make(person, generation, now)
            proof = self._prove(person, successor, generation, now)
            self._rooms.lifecycle.replace(card_ref, successor, now, reason=_REASON, enrolment_id=proof)
        else:
            self._rooms.lifecycle.change(card_ref, change, now, reason=_REASON)

    def flap(self, now: datetime) -> None:
        """The flapping person's card is temporarily lost in odd minutes of the hour, and found in even ones."""
        lost = now.minute % 2 == 1
        for person in MAGIC_PEOPLE.values():
            if person.outcome is Outcome.FLAPPING and self._cards(person):
                card = self._card(person)
                wanted = CardStatus.NORMAL if lost else CardStatus.TEMPORARILY_LOST
                if card.status is wanted:
                    change = CardChange.REPORT_TEMPORARY_LOSS if lost else CardChange.RELEASE
                    self._rooms.lifecycle.change(card.card_ref, change, now, reason=_REASON)

    def answer(self, number: int, digest: bytes) -> Evidence:
        """What a desk would send of this person's present chip. Raises `InvalidInput` `bad_chip_challenge`."""
        person = magic_person(number)
        return self._answer(person, self._card(person), self._generation(person), digest)

    def _make(self, person: MagicPerson, generation: int, now: datetime) -> str:
        """Register a card in order, with the known PIN. Made before, it stays as it is."""
        if generation > MAX_GENERATION:
            raise RuleViolation("test_cards_used_up", "this person has had all the cards there are")
        today = china_date(now)
        expiring = person.outcome is Outcome.EXPIRING
        expires = today + timedelta(days=EXPIRING_DAYS) if expiring else _in_years(today, 10)
        code = identification_code(person.number, generation)
        issued = today - timedelta(days=1)
        card = Card(Chip(code, PROFILE), card_number(person.number, generation), person.holder, issued, expires)
        try:
            card_ref = self._rooms.cards.register(card, CardStatus.NORMAL, now)
        except Conflict as conflict:
            if conflict.code != "card_exists":
                raise
            card_ref = self._rooms.cards.references.card(code)
        if person.outcome is not Outcome.CHILD:  # whose guardian would choose it
            number, pin = IdNumber(person.id_number), Secret(TEST_PIN)
            self._rooms.pins.reset(card_ref, number, _CALLER, now, new=pin, event_id="test-mode-seed")
        return card_ref

    def _issue(self, person: MagicPerson, card_ref: str, generation: int, now: datetime) -> None:
        """Let the card have an e-card, which a PIN or an identity proof can then claim: its first credential is for a
        key that nobody has."""
        bound = self._rooms.register.find_binding(card_ref) is not None
        if bound or person.outcome is Outcome.CHIP_FIRST:
            return
        point = ec.generate_private_key(ec.SECP256R1()).public_key()
        raw = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self._rooms.issuing.issue_to(self._prove(person, card_ref, generation, now), raw, now)

    def _prove(self, person: MagicPerson, card_ref: str, generation: int, now: datetime) -> str:
        """The id of an enrolment that the card's chip has proven."""
        opened = self._rooms.enrolment.begin("test mode", now, card_ref=card_ref)
        card = self._rooms.register.get_card(card_ref)
        evidence = self._answer(person, card, generation, opened.challenge.digest())
        return self._rooms.enrolment.complete(opened.enrolment_id, evidence, now).enrolment_id

    def _answer(self, person: MagicPerson, card: CardRow, generation: int, digest: bytes) -> Evidence:
        chip = self._chips.chip(person.number, generation, card.issued_on, card.expires_on)
        return answer(chip, digest)

    def _settle(self, person: MagicPerson, now: datetime) -> None:
        """From wherever the present card is to where the table has it."""
        card = self._card(person)
        status, change = _FORTH.get(person.outcome, (CardStatus.NORMAL, None))
        if card.status is not status:
            if card.status in _BACK:
                self._rooms.lifecycle.change(card.card_ref, _BACK[card.status], now, reason=_REASON)
            if change is not None:
                self._rooms.lifecycle.change(card.card_ref, change, now, reason=_REASON)
        if card.holder_locked:
            self._rooms.lifecycle.change(card.card_ref, CardChange.HOLDER_UNLOCK, now, reason=_REASON)
        if person.outcome is Outcome.PIN_LOCKED:
            self._lock_pin(card, now)
        elif status is CardStatus.NORMAL and self._rooms.pins.state(card.card_ref, now).locked:
            with suppress(RuleViolation):  # unlocked as often as a card's life permits
                self._rooms.pins.unlock(card.card_ref, IdNumber(person.id_number), _CALLER, now)
        if person.outcome is Outcome.REPLACING and not card.replacing:
            asked = Asked(f"test-mode-{card.card_ref}", _CALLER, Channel.AUTHORITY, IN_PERSON)
            self._rooms.life.replacements.order(ReplacementReason.DAMAGE, Who(card_ref=card.card_ref), asked, now)

    def _lock_pin(self, card: CardRow, now: datetime) -> None:
        for _ in range(_MOST_TRIES):
            if self._rooms.pins.state(card.card_ref, now).locked:
                return
            with suppress(CheckFailed, RuleViolation):
                self._rooms.pins.verify(card.card_ref, Secret(_WRONG_PIN), BusinessType.QUERY, _CALLER, now)

    def _person(self, card_ref: str) -> MagicPerson:
        holder = self._rooms.cards.identity(self._rooms.register.get_card(card_ref)).holder
        for person in MAGIC_PEOPLE.values():
            if person.id_number == holder.id_number.text:
                return person
        raise NotFound("test_person_unknown", "the card is no magic person's")

    def _cards(self, person: MagicPerson) -> list[CardRow]:
        return sorted(self._rooms.cards.cards_of(IdNumber(person.id_number)), key=lambda card: card.created_at)

    def _card(self, person: MagicPerson) -> CardRow:
        """The newest. Raises `NotFound` `test_person_unknown` before the seeding."""
        references = self._rooms.cards.references
        newest = references.card(identification_code(person.number, self._generation(person)))
        for card in self._cards(person):
            if card.card_ref == newest:
                return card
        raise NotFound("test_person_unknown", "nobody was seeded yet")

    def _generation(self, person: MagicPerson) -> int:
        """Of the newest card: each has the number of those before it."""
        return max(0, len(self._cards(person)) - 1)


def magic_person(number: int) -> MagicPerson:
    """Raises `NotFound` `test_person_unknown`."""
    if number not in MAGIC_PEOPLE:
        raise NotFound("test_person_unknown", f"the table has people 1 to {max(MAGIC_PEOPLE)}")
    return MAGIC_PEOPLE[number]


def _in_years(day: date, years: int) -> date:
    """The same day, or the day before where that year has none."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)
