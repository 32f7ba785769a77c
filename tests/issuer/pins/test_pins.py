"""The card's PIN through its life: initial, chosen, wrong, locked, unlocked, reset."""

from __future__ import annotations

from datetime import date

import pytest

from ecard_card.acting import Act, Acting, Ground
from ecard_card.card import IdNumber
from ecard_card.errors import CheckFailed, Conflict, InvalidInput, NotAllowed, NotFound, RuleViolation
from ecard_card.region_policy import PinRules, RegionPolicy
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.card_effect import strict_everywhere
from ecard_issuer.holder_services import HolderServices, holder_services
from ecard_issuer.levels.business import BusinessType
from ecard_issuer.pins.secret import Secret
from ecard_issuer.pins.sql import SqlGuesses
from ecard_verifier.callers import Caller, Role
from tests.contracts.register_world import refused
from tests.issuer.holding import APP, DESK, HOSPITAL, PlainPepper, card_of, change, ecard_of, number_of
from tests.issuer.pins.typed import FIRST, INITIAL, SECOND, WRONG
from tests.issuer.service import Service

QUERY, PAYMENT = BusinessType.QUERY, BusinessType.PAYMENT


@pytest.fixture
def own(service: Service) -> HolderServices:
    return service.issuer.holders


def test_the_initial_pin_permits_queries_only_until_another_is_chosen(service: Service, own: HolderServices) -> None:
    card, now = card_of(service), service.clock()
    assert own.pins.verify(card.card_ref, INITIAL, QUERY, HOSPITAL, now).initial
    for business in (PAYMENT, BusinessType.OTHER, BusinessType.MEDICAL_ELSEWHERE):
        with refused(RuleViolation, "pin_initial"):
            own.pins.verify(card.card_ref, INITIAL, business, HOSPITAL, now)
    own.pins.change(card.card_ref, INITIAL, FIRST, HOSPITAL, now)
    state = own.pins.verify(card.card_ref, FIRST, PAYMENT, HOSPITAL, now)
    assert (state.initial, state.locked, state.tries_left) == (False, False, 3)
    with refused(CheckFailed, "pin_wrong"):
        own.pins.verify(card.card_ref, INITIAL, QUERY, HOSPITAL, now)


def test_a_pin_must_be_a_new_one_and_no_weak_one(service: Service, own: HolderServices) -> None:
    card, now = card_of(service), service.clock()
    own.pins.change(card.card_ref, INITIAL, FIRST, DESK, now)
    with refused(RuleViolation, "secret_is_initial"):
        own.pins.change(card.card_ref, FIRST, INITIAL, DESK, now)
    with refused(RuleViolation, "secret_unchanged"):
        own.pins.change(card.card_ref, FIRST, FIRST, DESK, now)
    assert own.pins.state(card.card_ref, now).tries_left == 3
    with refused(RuleViolation, "secret_from_id_number"):
        own.pins.change(card.card_ref, FIRST, birthday(card.id_number), DESK, now)
    with refused(CheckFailed, "pin_wrong"):  # who does not know the PIN learns no birthday
        own.pins.change(card.card_ref, WRONG, birthday(card.id_number), DESK, now)


def birthday(number: IdNumber) -> Secret:
    return Secret(f"{number.birth_date:%y%m%d}")


def test_three_wrong_ones_lock_and_a_desk_unlocks(service: Service, own: HolderServices) -> None:
    card, now = card_of(service), service.clock()
    for left in (2, 1):
        with refused(CheckFailed, "pin_wrong") as wrong:
            own.pins.verify(card.card_ref, WRONG, QUERY, HOSPITAL, now)
        assert wrong.value.detail == f"{left} tries left"
    for typed in (WRONG, INITIAL):  # the third wrong one locks; then the right one does not help
        with refused(RuleViolation, "pin_locked"):
            own.pins.verify(card.card_ref, typed, QUERY, HOSPITAL, now)
    with refused(RuleViolation, "pin_locked"):
        own.pins.change(card.card_ref, INITIAL, FIRST, DESK, now)
    with refused(NotAllowed, "document_of_other_person"):
        own.pins.unlock(card.card_ref, number_of(date(1980, 3, 4)), Caller("prober", Role.DESK), now)
    assert SqlGuesses(service.issuer.engine).wrong("prober", now) == 1
    done = own.pins.unlock(card.card_ref, card.id_number, DESK, now, event_id="u-1")
    assert own.pins.unlock(card.card_ref, card.id_number, DESK, now, event_id="u-1") == done
    state = own.pins.verify(card.card_ref, INITIAL, QUERY, HOSPITAL, now)
    assert (state.unlocks_left, state.tries_left) == (9, 3)
    with refused(RuleViolation, "pin_not_locked"):
        own.pins.unlock(card.card_ref, card.id_number, DESK, now)


def test_a_victim_of_guesses_can_be_helped_until_the_card_is_used_up(service: Service) -> None:
    rules = PinRules(tries=1, unlocks=2)
    issuer, now = service.issuer, service.clock()
    policy = RegionPolicy(pin=rules)
    own = holder_services(
        issuer.settings,
        issuer.engine,
        issuer.register,
        issuer.people,
        PlainPepper(),
        rules=issuer.acting,
        policy_of=lambda region, at: policy,
    )
    card = card_of(service)
    for act in (own.pins.unlock, own.pins.reset):
        with refused(RuleViolation, "pin_locked"):
            own.pins.verify(card.card_ref, WRONG, QUERY, HOSPITAL, now)
        act(card.card_ref, card.id_number, DESK, now)
        own.pins.verify(card.card_ref, INITIAL, QUERY, HOSPITAL, now)
    with refused(RuleViolation, "pin_locked"):
        own.pins.verify(card.card_ref, WRONG, QUERY, HOSPITAL, now)
    for act in (own.pins.unlock, own.pins.reset):
        with refused(RuleViolation, "pin_unlocks_used_up"):
            act(card.card_ref, card.id_number, DESK, now)


def test_a_forgotten_pin_is_replaced_by_one_typed_at_the_desk_or_by_the_initial_one(
    service: Service, own: HolderServices
) -> None:
    card, now = card_of(service), service.clock()
    own.pins.change(card.card_ref, INITIAL, FIRST, DESK, now)
    own.pins.reset(card.card_ref, card.id_number, DESK, now, new=SECOND)
    assert not own.pins.verify(card.card_ref, SECOND, PAYMENT, DESK, now).initial
    own.pins.reset(card.card_ref, card.id_number, DESK, now, event_id="r-2")
    assert own.pins.verify(card.card_ref, INITIAL, QUERY, DESK, now).initial
    own.pins.change(card.card_ref, INITIAL, FIRST, DESK, now)
    own.pins.reset(card.card_ref, card.id_number, DESK, now, event_id="r-2")  # the same one, late: nothing happens
    own.pins.verify(card.card_ref, FIRST, PAYMENT, DESK, now)
    assert own.pins.state(card.card_ref, now).unlocks_left == 10  # it was never locked


def test_a_repetition_changes_nothing_and_costs_no_try(service: Service, own: HolderServices) -> None:
    card, now = card_of(service), service.clock()
    done = own.pins.change(card.card_ref, INITIAL, FIRST, DESK, now, event_id="c-1")
    assert own.pins.change(card.card_ref, INITIAL, FIRST, DESK, now, event_id="c-1") == done
    assert own.pins.state(card.card_ref, now).tries_left == 3
    with refused(Conflict, "secret_event_differs"):
        own.pins.reset(card.card_ref, card.id_number, DESK, now, event_id="c-1")
    with refused(InvalidInput, "bad_event_id"):
        own.pins.change(card.card_ref, FIRST, SECOND, DESK, now, event_id="c 1")


@pytest.mark.parametrize("what", [CardChange.REPORT_LOSS, CardChange.REPORT_TEMPORARY_LOSS, CardChange.CANCEL])
def test_no_pin_opens_a_card_that_is_lost_or_gone(service: Service, own: HolderServices, what: CardChange) -> None:
    card, now = card_of(service), service.clock()
    change(service, card, what)
    with refused(RuleViolation, "card_not_usable"):
        own.pins.verify(card.card_ref, INITIAL, QUERY, HOSPITAL, now)
    with refused(RuleViolation, "card_not_usable"):
        own.pins.change(card.card_ref, INITIAL, FIRST, DESK, now)
    assert own.pins.state(card.card_ref, now).tries_left == 3


def test_a_sealed_card_gets_its_pin_before_it_is_enabled(service: Service, own: HolderServices) -> None:
    card, now = card_of(service, status=CardStatus.SEALED), service.clock()
    own.pins.change(card.card_ref, INITIAL, FIRST, DESK, now)
    with refused(RuleViolation, "card_not_usable"):
        own.pins.verify(card.card_ref, FIRST, QUERY, HOSPITAL, now)
    with refused(NotFound, "card_unknown"):
        own.pins.verify("ab" * 16, INITIAL, QUERY, HOSPITAL, now)


def test_a_new_card_has_a_pin_of_its_own(service: Service, own: HolderServices) -> None:
    old, now = card_of(service), service.clock()
    own.pins.change(old.card_ref, INITIAL, FIRST, DESK, now)
    new = card_of(service, person=old.id_number)
    service.issuer.lifecycle.replace(old.card_ref, new.card_ref, now)
    assert own.pins.verify(new.card_ref, INITIAL, QUERY, DESK, now).initial


class OneAgent:
    """`ActingRules` under which one mandate is good for one act."""

    def __init__(self, act: Act) -> None:
        self.act = act

    def require(self, acting: Acting, holder_ref: str, act: Act, now: object) -> None:
        if acting.ground is not Ground.OWN and (acting.mandate_id, act) != ("m-1", self.act):
            raise RuleViolation("mandate_out_of_scope", "not for this")


def test_an_agent_may_do_what_the_mandate_says(service: Service) -> None:
    issuer, now = service.issuer, service.clock()
    rules = OneAgent(Act.RESET_PIN)
    own = holder_services(
        issuer.settings,
        issuer.engine,
        issuer.register,
        issuer.people,
        PlainPepper(),
        rules=rules,
        policy_of=strict_everywhere,
    )
    card, agent = card_of(service), Acting(Ground.MANDATE, "m-1")
    own.pins.reset(card.card_ref, card.id_number, DESK, now, new=FIRST, acting=agent)
    with refused(RuleViolation, "mandate_out_of_scope"):
        own.pins.change(card.card_ref, FIRST, SECOND, DESK, now, acting=agent)
    with refused(RuleViolation, "mandate_unknown"):
        service.issuer.holders.pins.change(card.card_ref, FIRST, SECOND, DESK, now, acting=agent)


def test_a_person_reads_what_was_done_and_no_digit_of_it(service: Service, own: HolderServices) -> None:
    held, now = ecard_of(service), service.clock()
    own.pins.change(held.card_ref, INITIAL, FIRST, DESK, now)
    own.passwords.set(held.ecard_id, SECOND, APP, now)
    row = service.issuer.people.find(held.id_number)
    assert row is not None
    sections = {part.section: part.of_holder(row, service.issuer.people.seal_of(row)) for part in own.subject_data}
    assert sections.keys() == {"pins", "levels", "family"}
    assert [(one["kind"], one["chosen"]) for one in sections["pins"]] == [("card_pin", True), ("ecard_password", True)]
    told = repr(sections)
    assert "'act': 'change'" in told
    assert "outlet 1" in told
    assert not any(hidden in told for hidden in (FIRST.text, SECOND.text, "argon2"))
