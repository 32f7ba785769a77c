"""Level 2 is opened with a consent of its own, and asked for by what needs it."""

from __future__ import annotations

import pytest

from ecard_card.errors import CheckFailed, InvalidInput, NotFound, RuleViolation
from ecard_card.status import CardChange
from ecard_issuer.holder_services import HolderServices
from ecard_issuer.levels.business import BusinessType, Level
from ecard_issuer.levels.opening import Closing
from tests.contracts.register_world import refused
from tests.issuer.holding import APP, DESK, card_of, change, ecard_of
from tests.issuer.pins.typed import FIRST, WRONG
from tests.issuer.service import Service

NEEDING_2 = (BusinessType.PAYMENT, BusinessType.MEDICAL_ELSEWHERE)


@pytest.fixture
def own(service: Service) -> HolderServices:
    return service.issuer.holders


def test_identity_comes_with_the_ecard_and_payment_does_not(service: Service, own: HolderServices) -> None:
    held, now = ecard_of(service), service.clock()
    for business in BusinessType:
        if business in NEEDING_2:
            with refused(RuleViolation, "ecard_level_too_low"):
                own.levels.require_for(held.ecard_id, business, now)
        else:
            own.levels.require_for(held.ecard_id, business, now)
    with refused(NotFound, "ecard_unknown"):
        own.levels.require("ab" * 16, Level.IDENTITY, now)


def test_payment_is_opened_with_the_password_and_a_consent(service: Service, own: HolderServices) -> None:
    held, now = ecard_of(service), service.clock()
    with refused(RuleViolation, "ecard_password_not_set"):
        own.levels.open(held.ecard_id, FIRST, "payment-1", APP, now)
    own.passwords.set(held.ecard_id, FIRST, APP, now)
    with refused(CheckFailed, "ecard_password_wrong"):
        own.levels.open(held.ecard_id, WRONG, "payment-1", APP, now)
    with refused(InvalidInput, "bad_consent"):
        own.levels.open(held.ecard_id, FIRST, "", APP, now)
    assert own.levels.state(held.ecard_id, now).level is Level.IDENTITY
    first = own.levels.open(held.ecard_id, FIRST, "payment-1", APP, now)
    assert own.levels.open(held.ecard_id, FIRST, "payment-2", DESK, now) == first
    for business in BusinessType:
        own.levels.require_for(held.ecard_id, business, now)


@pytest.mark.parametrize("closing", Closing)
def test_closed_it_may_be_opened_again_with_another_consent(
    service: Service, own: HolderServices, closing: Closing
) -> None:
    held, now = ecard_of(service), service.clock()
    own.passwords.set(held.ecard_id, FIRST, APP, now)
    assert own.levels.close(held.ecard_id, APP, now).opening is None  # nothing was open
    own.levels.open(held.ecard_id, FIRST, "payment-1", APP, now)
    state = own.levels.close(held.ecard_id, APP, now, closing=closing)
    assert state.opening is not None
    assert (state.level, state.opening.closing) == (Level.IDENTITY, closing)
    assert own.levels.close(held.ecard_id, APP, now) == state
    with refused(RuleViolation, "ecard_level_too_low"):
        own.levels.require(held.ecard_id, Level.PAYMENT, now)
    assert own.levels.open(held.ecard_id, FIRST, "payment-2", APP, now).opening == 2
    row = service.issuer.people.find(held.id_number)
    assert row is not None
    exported = own.subject_data[1].of_holder(row, service.issuer.people.seal_of(row))
    assert [(one["consent"], one["closing"]) for one in exported] == [("payment-1", closing.value), ("payment-2", None)]


def test_it_rests_while_the_card_is_lost_moves_with_the_ecard_and_ends_with_it(
    service: Service, own: HolderServices
) -> None:
    held, now = ecard_of(service), service.clock()
    own.passwords.set(held.ecard_id, FIRST, APP, now)
    own.levels.open(held.ecard_id, FIRST, "payment-1", APP, now)
    change(service, held, CardChange.REPORT_LOSS)
    with refused(RuleViolation, "ecard_not_usable"):
        own.levels.require(held.ecard_id, Level.IDENTITY, now)
    new = card_of(service, person=held.id_number)
    service.issuer.lifecycle.replace(held.card_ref, new.card_ref, now)
    state = own.levels.state(held.ecard_id, now)
    assert (state.level, state.usable) == (Level.PAYMENT, False)  # until the new chip is proven
    change(service, new, CardChange.CANCEL)
    with refused(RuleViolation, "ecard_ended"):
        own.levels.require(held.ecard_id, Level.PAYMENT, now)
    with refused(RuleViolation, "ecard_ended"):
        own.levels.open(held.ecard_id, FIRST, "payment-1", APP, now)
