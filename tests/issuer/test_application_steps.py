"""Any order of steps: an application is where the table of steps says, and its card with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecard_card.acting import IN_PERSON, Channel
from ecard_card.card import Holder, IdentificationCode
from ecard_card.errors import EcardError
from ecard_card.identity_document import DocumentKind, IdentityDocument
from ecard_card.status import CardStatus
from ecard_issuer.applying.rules import STEPS, Step
from ecard_issuer.applying.values import (
    ApplicationState,
    DocumentCopy,
    NewApplication,
    RefusalReason,
    Residency,
)
from ecard_issuer.chip.simulator import synthetic
from tests.issuer.office import card_of
from tests.issuer.people_kit import number, photo
from tests.issuer.service import Service, open_service

S = ApplicationState


@pytest.fixture(scope="module")
def issuing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Iterator[int]]]:
    service = open_service(tmp_path_factory.mktemp("steps"))
    yield service, count(1)
    service.issuer.close()


def applied(service: Service, serial: int) -> tuple[str, Holder]:
    desk, now = service.issuer.applications.desk, service.clock()
    wish = NewApplication(
        document=IdentityDocument(DocumentKind.IDENTITY_CARD, number(f"19{60 + serial % 30}-01-01", serial % 1000)),
        name="步骤",
        region="000000",
        residency=Residency.REGISTERED,
        channel=Channel.DESK,
        acting=IN_PERSON,
        original_seen=True,
    )
    row = desk.submit(f"s-{serial}", wish, "desk", now)
    desk.add_copy(row.application_id, DocumentCopy.PHOTO, "image/jpeg", photo(), "desk", now)
    return row.application_id, service.issuer.people.person(service.issuer.people.get(row.holder_ref))


def take(service: Service, identity: str, holder: Holder, step: Step, serial: int) -> str:
    """The state after the step, or the code of what refused it."""
    desk, now = service.issuer.applications.desk, service.clock()
    template = card_of(synthetic(serial % 900 + 1), "test:piv-p256")
    code = IdentificationCode(f"000000D156000005{serial:016X}")
    card = replace(template, holder=holder, chip=replace(template.chip, identification_code=code))
    verbs = {
        Step.REVIEW: lambda: desk.review(identity, "d", now),
        Step.APPROVE: lambda: desk.approve(identity, "d", now),
        Step.REFUSE: lambda: desk.refuse(identity, RefusalReason.OTHERWISE, "", "d", now),
        Step.PRODUCE: lambda: desk.produce(identity, "d", now),
        Step.MADE: lambda: desk.made(identity, card, "d", now),
        Step.READY: lambda: desk.ready(identity, "zz", "d", now),
        Step.COLLECT: lambda: desk.collect(identity, "d", now),
        Step.WITHDRAW: lambda: desk.withdraw(identity, "", "d", now),
    }
    try:
        return verbs[step]().state.value
    except EcardError as error:
        return error.code


def expected(state: ApplicationState, made: bool, step: Step) -> str:
    origins, target = STEPS[step]
    if step is Step.MADE:
        return state.value if made or state is S.IN_PRODUCTION else "application_moved"
    if state is target:
        return state.value
    if step is Step.READY and state is S.IN_PRODUCTION and not made:
        return "card_not_made"
    return target.value if state in origins else "application_moved"


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([*Step, Step.REVIEW, Step.APPROVE, Step.PRODUCE, Step.MADE]), max_size=14))
def test_an_application_is_where_the_table_says(issuing: tuple[Service, Iterator[int]], steps: list[Step]) -> None:
    service, serials = issuing
    serial = next(serials)
    identity, holder = applied(service, serial)
    desk, register = service.issuer.applications.desk, service.issuer.register
    state, made = S.SUBMITTED, False
    happy = [Step.REVIEW, Step.APPROVE, Step.PRODUCE, Step.MADE, Step.READY, Step.COLLECT]
    for step in [*steps, *happy]:
        told = take(service, identity, holder, step, serial)
        assert told == expected(state, made, step), (state, made, step)
        row = desk.get(identity)
        made = row.card_ref is not None
        state = row.state
        assert row.closed_at is not None or not state.closed
        if row.card_ref is not None:
            status = register.get_card(row.card_ref).status
            assert status is (CardStatus.NORMAL if state is S.COLLECTED else CardStatus.SEALED)
    assert state in (S.COLLECTED, S.REFUSED, S.WITHDRAWN)
    history = [step.state for step in desk.steps_of(desk.get(identity))]
    assert history[0] is S.SUBMITTED
    assert history[-1] is state
