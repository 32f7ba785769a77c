"""Magic people: what the table says of each is so, after every restart and after every reset."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from ecard_card.card import ChipAssurance, Holder, IdNumber
from ecard_card.china import china_date
from ecard_card.errors import Conflict, EcardError, InvalidInput, NotAllowed, NotFound
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.assembly import Issuer, build
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.config import load
from ecard_issuer.levels.business import BusinessType
from ecard_issuer.pins.secret import Secret
from ecard_issuer.rows import CardRow
from ecard_issuer.testmode.cards import TestCards
from ecard_issuer.testmode.chips import TestChips, answer
from ecard_issuer.testmode.people import MAGIC_PEOPLE, SLOW_SECONDS, TEST_PIN, Outcome
from ecard_issuer.testmode.slow import MOST_KEPT, TestPeople
from ecard_issuer.web.models import NewCard
from ecard_verifier.callers import Caller, Role
from tests.issuer.service import Clock, Service, open_service
from tests.issuer.template import place_register

TELLER = Caller("teller", Role.DESK)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Issuer]:
    folder = tmp_path_factory.mktemp("people")
    opened = open_test_issuer(folder, clock)
    opened.test_mode.seed(clock())
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("live"))
    yield opened
    opened.issuer.close()


def open_test_issuer(folder: Path, clock: Clock) -> Issuer:
    place_register(folder)
    given = {"data_dir": folder, "public_origin": "https://test.example", "regions": ("000000",)}
    return build(load(**given, test_mode=True, allow_test_chips=True, approvals_needed=0), clock=clock)


def cards_of(issuer: Issuer, number: int) -> list[CardRow]:
    return list(issuer.cards.cards_of(IdNumber(MAGIC_PEOPLE[number].id_number)))


def card_of(issuer: Issuer, number: int) -> CardRow:
    return max(cards_of(issuer, number), key=lambda card: card.created_at)


def magic(issuer: Issuer) -> TestCards:
    assert issuer.test_mode.cards is not None
    return issuer.test_mode.cards


def test_numbers_are_valid_and_nobodys() -> None:
    for person in MAGIC_PEOPLE.values():
        assert person.holder.id_number.birth_date == person.born
        assert person.id_number.startswith("000099")
    assert MAGIC_PEOPLE[1].id_number == "00009919900101001X"
    assert len({person.id_number for person in MAGIC_PEOPLE.values()}) == len(MAGIC_PEOPLE)


def test_everybody_is_as_the_table_says(issuer: Issuer, clock: Clock) -> None:
    wanted = {
        Outcome.LOST: CardStatus.LOST,
        Outcome.TEMPORARILY_LOST: CardStatus.TEMPORARILY_LOST,
        Outcome.LOCKED: CardStatus.LOCKED,
        Outcome.CANCELLED: CardStatus.CANCELLED,
    }
    for number, person in MAGIC_PEOPLE.items():
        (card,) = cards_of(issuer, number)
        assert card.status is wanted.get(person.outcome, CardStatus.NORMAL)
        assert card.replacing is (person.outcome is Outcome.REPLACING)
        assert (card.expires_on <= china_date(clock()) + timedelta(days=3)) is (person.outcome is Outcome.EXPIRING)
        pin = issuer.holders.pins.state(card.card_ref, clock())
        assert (pin.locked, pin.initial) == (person.outcome is Outcome.PIN_LOCKED, person.outcome is Outcome.CHILD)
    opened = issuer.holders.pins.verify(
        card_of(issuer, 1).card_ref, Secret(TEST_PIN), BusinessType.PAYMENT, TELLER, clock()
    )
    assert opened.tries_left == 3


def test_seeding_again_makes_nobody_and_undoes_nothing(issuer: Issuer, clock: Clock) -> None:
    ref = card_of(issuer, 11).card_ref
    issuer.lifecycle.change(ref, CardChange.REPORT_LOSS, clock())
    before = {number: card_of(issuer, number) for number in MAGIC_PEOPLE}
    assert magic(issuer).seed(clock.advance(1)) == 0
    assert {number: card_of(issuer, number) for number in MAGIC_PEOPLE} == before
    magic(issuer).restore(ref, clock())
    assert card_of(issuer, 11).status is CardStatus.NORMAL


def test_a_card_that_is_final_gets_a_successor_at_a_reset(issuer: Issuer, clock: Clock) -> None:
    first = card_of(issuer, 1)
    magic(issuer).change(first.card_ref, CardChange.CANCEL, clock.advance(1))
    magic(issuer).restore(first.card_ref, clock.advance(1))
    second = card_of(issuer, 1)
    assert (second.status, len(cards_of(issuer, 1))) == (CardStatus.NORMAL, 2)
    magic(issuer).change(second.card_ref, CardChange.REPLACE, clock.advance(1))
    third = card_of(issuer, 1)
    assert [issuer.register.get_card(ref).status for ref in (second.card_ref, third.card_ref)] == [
        CardStatus.CANCELLED,
        CardStatus.NORMAL,
    ]
    magic(issuer).restore(first.card_ref, clock.advance(1))
    assert card_of(issuer, 1) == third
    for number in (2, 5, 7):  # as they were
        before = card_of(issuer, number)
        magic(issuer).restore(before.card_ref, clock())
        assert card_of(issuer, number) == before


def test_a_chip_answers_a_challenge_by_the_person_s_present_card(issuer: Issuer, clock: Clock) -> None:
    opened = issuer.enrolment.begin("test", clock())
    evidence = magic(issuer).answer(1, opened.challenge.digest())
    proven = issuer.enrolment.complete(opened.enrolment_id, Evidence.from_json(evidence.to_json()), clock())
    assert (proven.card_ref, proven.assurance) == (card_of(issuer, 1).card_ref, ChipAssurance.SIGNATURE)
    with pytest.raises(NotFound, match="test_person_unknown"):
        magic(issuer).answer(99, opened.challenge.digest())
    with pytest.raises(InvalidInput, match="bad_chip_challenge"):
        magic(issuer).answer(1, b"short")


def test_chips_are_the_same_after_a_restart_and_others_at_another_issuer(
    issuer: Issuer, clock: Clock, live: Service
) -> None:
    again = open_test_issuer(issuer.settings.data_dir, clock)
    opened = issuer.enrolment.begin("test", clock())
    evidence = magic(again).answer(1, opened.challenge.digest())
    issuer.enrolment.complete(opened.enrolment_id, evidence, clock())
    again.close()
    elsewhere = TestChips(live.issuer.people._protector, clock)  # another issuer's secret
    card = card_of(issuer, 11)
    opened = issuer.enrolment.begin("test", clock())
    foreign = answer(elsewhere.chip(11, 0, card.issued_on, card.expires_on), opened.challenge.digest())
    with pytest.raises(EcardError, match="chip_"):
        issuer.enrolment.complete(opened.enrolment_id, foreign, clock())


def test_the_flapping_card_is_lost_in_odd_minutes(issuer: Issuer, clock: Clock) -> None:
    start = clock.now.replace(minute=0, second=30) + timedelta(hours=1)
    for minute in (0, 1, 1, 2, 3, 4):
        issuer.test_mode.upkeep(start.replace(minute=minute))
        lost = minute % 2 == 1
        assert (card_of(issuer, 9).status is CardStatus.TEMPORARILY_LOST) is lost


def test_the_slow_person_is_found_late_and_nobody_else(issuer: Issuer) -> None:
    slept: list[float] = []
    people = TestPeople(issuer.register, issuer.people._protector, slept.append)
    assert people.find(IdNumber(MAGIC_PEOPLE[1].id_number)) is not None
    assert slept == []
    assert people.find(IdNumber(MAGIC_PEOPLE[8].id_number)) is not None
    assert slept == [SLOW_SECONDS]


def test_few_at_once_are_kept_waiting_so_that_threads_are_left(issuer: Issuer) -> None:
    kept, go_on = threading.Semaphore(0), threading.Event()

    def sleep(seconds: float) -> None:
        kept.release()
        assert go_on.wait(10)

    people = TestPeople(issuer.register, issuer.people._protector, sleep)
    slow = IdNumber(next(one.id_number for one in MAGIC_PEOPLE.values() if one.outcome is Outcome.SLOW))
    with ThreadPoolExecutor(MOST_KEPT) as pool:
        waiting = [pool.submit(people.find, slow) for _ in range(MOST_KEPT)]
        for _ in waiting:
            assert kept.acquire(timeout=10)
        assert people.find(slow) is not None, "one more is not kept"
        assert not any(one.done() for one in waiting)
        go_on.set()
        assert all(one.result() is not None for one in waiting)


def test_only_magic_cards_change_on_cue(issuer: Issuer, clock: Clock, live: Service) -> None:
    data = live.card_body(7)
    ref = issuer.cards.register(NewCard.model_validate(data).to_card(), CardStatus.NORMAL, clock())
    with pytest.raises(NotFound, match="test_person_unknown"):
        magic(issuer).change(ref, CardChange.CANCEL, clock())


def test_a_live_issuer_has_no_magic_people_and_takes_none(live: Service) -> None:
    assert live.issuer.test_mode.cards is None
    live.issuer.test_mode.seed(live.clock())
    live.issuer.test_mode.upkeep(live.clock())
    for person in MAGIC_PEOPLE.values():
        with pytest.raises(NotAllowed, match="test_person_refused"):
            live.issuer.people.enter(Holder(IdNumber(person.id_number), "张三"))


def test_a_register_keeps_its_mode_for_life(issuer: Issuer, live: Service) -> None:
    with pytest.raises(Conflict, match="issuer_mode_fixed"):
        open_test_issuer(live.issuer.settings.data_dir, Clock())
    with pytest.raises(Conflict, match="issuer_mode_fixed"):
        open_service(issuer.settings.data_dir)
