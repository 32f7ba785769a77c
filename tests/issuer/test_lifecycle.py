"""The life cycle use case: names events, wakes the dispatcher, refuses what is no event. And callers' tokens."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

import pytest

from ecard_card.errors import InvalidInput, NotFound, RuleViolation
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.operators import Desk
from ecard_issuer.web.models import NewCard
from ecard_verifier.callers import Role, token_hash
from tests.issuer.service import START, Service


def card(service: Service, serial: int = 1) -> str:
    body = NewCard.model_validate(service.card_body(serial))
    return service.issuer.cards.register(body.to_card(), CardStatus.NORMAL, service.clock())


def test_a_change_is_applied_once_and_its_repetition_changes_nothing(service: Service) -> None:
    ref = card(service)
    first = service.issuer.lifecycle.change(ref, CardChange.REPORT_LOSS, START, event_id="e-1")
    again = service.issuer.lifecycle.change(ref, CardChange.REPORT_LOSS, START, event_id="e-1")
    assert (first.applied, again.applied) == (True, False)
    assert again.event == first.event
    with pytest.raises(RuleViolation, match="card_change_impossible"):
        service.issuer.lifecycle.change(ref, CardChange.LOCK, START)


@pytest.mark.parametrize(
    "odd",
    [
        {"event_id": "a b"},
        {"event_id": "x" * 65},
        {"sequence": 0, "source": "s"},
        {"sequence": 2**53, "source": "s"},
        {"sequence": 1},
        {"source": "\n"},
        {"reason": "r" * 201},
        {"reason": "line\nbreak"},
        {"occurred_at": datetime(2026, 1, 1)},
    ],
)
def test_what_is_no_event_is_refused_before_the_register_is_asked(service: Service, odd: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="bad_card_event"):
        service.issuer.lifecycle.change("00", CardChange.LOCK, START, **odd)


def test_a_token_is_stored_as_a_hash_found_by_itself_only_and_dies_by_revocation(service: Service) -> None:
    desk: Desk = service.issuer.operators
    made = desk.add("counter 7", Role.COUNTER, START)
    assert made.token.startswith("ecop_")
    assert made.token not in repr(made)
    found = desk.find(made.token)
    assert found is not None
    assert (found.name, found.role, found.token_hash) == ("counter 7", "counter", token_hash(made.token))
    for wrong in ("", "ecop_", made.token[:-1], made.token + "A", made.token.swapcase(), token_hash(made.token), "é"):
        assert desk.find(wrong) is None
    assert desk.revoke("counter 7", START) == 1
    assert desk.find(made.token) is None
    with pytest.raises(NotFound, match="operator_unknown"):
        desk.revoke("counter 7", START)
    with pytest.raises(InvalidInput, match="bad_operator_name"):
        desk.add("\x1b[31m", Role.COUNTER, START)


def test_the_first_operator_is_made_once(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    first = service.issuer.operators.first(START)
    assert first is not None
    assert first.role is Role.OPERATOR
    assert service.issuer.operators.first(START) is None
    assert first.token not in caplog.text
