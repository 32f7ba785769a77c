"""The e-card password: one for all channels, independent of the card's PIN."""

from __future__ import annotations

import pytest

from ecard_card.errors import CheckFailed, Conflict, NotAllowed, NotFound, RuleViolation
from ecard_card.status import CardChange
from ecard_issuer.holder_services import HolderServices
from ecard_issuer.levels.business import BusinessType
from ecard_issuer.pins.secret import Secret
from ecard_verifier.callers import Caller, Role
from tests.contracts.register_world import refused
from tests.issuer.holding import APP, DESK, HOSPITAL, card_of, change, ecard_of
from tests.issuer.pins.typed import FIRST, INITIAL, SECOND, WRONG
from tests.issuer.service import Service

OTHER_APP = Caller("app 2", Role.CHANNEL)


@pytest.fixture
def own(service: Service) -> HolderServices:
    return service.issuer.holders


def test_set_once_then_changed_and_in_force_everywhere(service: Service, own: HolderServices) -> None:
    held, now = ecard_of(service), service.clock()
    with refused(RuleViolation, "ecard_password_not_set"):
        own.passwords.verify(held.ecard_id, INITIAL, APP, now)  # there is no initial one
    with refused(RuleViolation, "secret_is_initial"):
        own.passwords.set(held.ecard_id, INITIAL, APP, now)
    own.passwords.set(held.ecard_id, FIRST, APP, now, event_id="s-1")
    own.passwords.set(held.ecard_id, FIRST, APP, now, event_id="s-1")
    with refused(Conflict, "ecard_password_exists"):
        own.passwords.set(held.ecard_id, SECOND, OTHER_APP, now)
    own.passwords.verify(held.ecard_id, FIRST, OTHER_APP, now)
    own.passwords.change(held.ecard_id, FIRST, SECOND, OTHER_APP, now)
    with refused(CheckFailed, "ecard_password_wrong"):
        own.passwords.verify(held.ecard_id, FIRST, APP, now)
    assert own.passwords.verify(held.ecard_id, SECOND, APP, now).is_set


def test_locked_in_one_channel_is_locked_in_all_and_a_reset_frees_all(service: Service, own: HolderServices) -> None:
    held, now = ecard_of(service), service.clock()
    with refused(RuleViolation, "ecard_password_not_set"):
        own.passwords.reset(held.ecard_id, held.id_number, FIRST, DESK, now)
    own.passwords.set(held.ecard_id, FIRST, APP, now)
    for _ in range(2):
        with refused(CheckFailed, "ecard_password_wrong"):
            own.passwords.verify(held.ecard_id, WRONG, APP, now)
    for caller in (APP, OTHER_APP):
        with refused(RuleViolation, "ecard_password_locked"):
            own.passwords.verify(held.ecard_id, WRONG, caller, now)
    assert own.passwords.state(held.ecard_id, now).locked
    with refused(NotAllowed, "document_of_other_person"):
        own.passwords.reset(held.ecard_id, card_of(service).id_number, SECOND, APP, now)
    for new in (SECOND, FIRST, SECOND):
        own.passwords.reset(held.ecard_id, held.id_number, new, APP, now)
        own.passwords.verify(held.ecard_id, new, OTHER_APP, now)


def test_pin_and_password_are_two_secrets(service: Service, own: HolderServices) -> None:
    held, now = ecard_of(service), service.clock()
    own.pins.change(held.card_ref, INITIAL, FIRST, DESK, now)
    with refused(RuleViolation, "secrets_equal"):
        own.passwords.set(held.ecard_id, FIRST, APP, now, card_pin=FIRST)
    own.passwords.set(held.ecard_id, SECOND, APP, now, card_pin=FIRST)
    with refused(RuleViolation, "secrets_equal"):
        own.pins.change(held.card_ref, FIRST, SECOND, DESK, now, ecard_password=SECOND)
    with refused(CheckFailed, "ecard_password_wrong"):
        own.passwords.verify(held.ecard_id, FIRST, APP, now)
    with refused(CheckFailed, "pin_wrong"):
        own.pins.verify(held.card_ref, SECOND, BusinessType.QUERY, HOSPITAL, now)
    for _ in range(2):
        with pytest.raises((CheckFailed, RuleViolation)):
            own.pins.verify(held.card_ref, WRONG, BusinessType.QUERY, HOSPITAL, now)
    assert own.pins.state(held.card_ref, now).locked
    assert own.passwords.state(held.ecard_id, now).tries_left == 2  # locking one does not touch the other


def test_what_is_not_typed_beside_is_not_looked_up(service: Service, own: HolderServices) -> None:
    """Else choosing a password would be a free guess at the PIN."""
    held, now = ecard_of(service), service.clock()
    own.pins.change(held.card_ref, INITIAL, FIRST, DESK, now)
    own.passwords.set(held.ecard_id, FIRST, APP, now)
    assert own.pins.state(held.card_ref, now).tries_left == 3


def test_a_birthday_asked_for_by_choosing_passwords_is_a_guess(service: Service, own: HolderServices) -> None:
    held, now, prober = ecard_of(service), service.clock(), Caller("prober", Role.DESK)
    birthday = Secret(f"{held.id_number.birth_date:%y%m%d}")
    for _ in range(100):
        with refused(RuleViolation, "secret_from_id_number"):
            own.passwords.set(held.ecard_id, birthday, prober, now)
    with refused(NotAllowed, "secret_guesses_used_up"):
        own.passwords.set(held.ecard_id, birthday, prober, now)
    with refused(NotAllowed, "secret_guesses_used_up"):
        own.passwords.reset(held.ecard_id, held.id_number, FIRST, prober, now)
    own.passwords.set(held.ecard_id, FIRST, APP, now)


def test_the_password_stays_with_the_ecard_and_ends_with_it(service: Service, own: HolderServices) -> None:
    held, now = ecard_of(service), service.clock()
    own.passwords.set(held.ecard_id, FIRST, APP, now)
    change(service, held, CardChange.REPORT_LOSS)
    with refused(RuleViolation, "ecard_not_usable"):
        own.passwords.verify(held.ecard_id, FIRST, APP, now)
    new = card_of(service, person=held.id_number)
    service.issuer.lifecycle.replace(held.card_ref, new.card_ref, now)
    assert own.passwords.state(held.ecard_id, now).is_set
    with refused(RuleViolation, "ecard_not_usable"):  # until the new chip is proven
        own.passwords.verify(held.ecard_id, FIRST, APP, now)
    change(service, new, CardChange.CANCEL)
    for verb in (own.passwords.verify, own.passwords.set):
        with refused(RuleViolation, "ecard_ended"):
            verb(held.ecard_id, FIRST, APP, now)
    with refused(NotFound, "ecard_unknown"):
        own.passwords.verify("ab" * 16, FIRST, APP, now)
