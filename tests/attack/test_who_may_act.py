"""A mandate is judged at each step of every business, whatever it permitted a step before."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from ecard_card.acting import IN_PERSON, Act, Acting, Channel, Ground
from ecard_card.card import Holder, IdNumber
from ecard_card.errors import EcardError
from ecard_issuer.chip.simulator import synthetic
from ecard_issuer.life.values import Asked, ReplacementReason
from ecard_issuer.life.who import Who
from ecard_issuer.mandates.rules import AGENT_ACTS
from ecard_issuer.mandates.values import AgentRelation, Form, MandateCause, NewMandate, Proof
from ecard_issuer.pins.secret import Secret
from ecard_issuer.relying.rules import Ask
from ecard_verifier.callers import Caller, Role
from tests.journeys.services.relying_town import Person, Town, open_town

DESK, CLINIC = Caller("desk", Role.DESK), Caller("clinic", Role.RELYING)
OLD, NEW = Secret.typed("123456"), Secret.typed("283746")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("acting")) as opened:
        opened.relying("clinic")
        yield opened


def mandate(town: Town, person: Person, acts: frozenset[Act] = AGENT_ACTS) -> Acting:
    """A mandate of this person for a day, for all that an agent may ever do."""
    now, agent = town.service.clock(), synthetic(next(town._serials) + 500)
    wish = NewMandate(
        holder=Holder(IdNumber(person.id_number), person.name),
        agent=Holder(IdNumber(agent.id_number), agent.name),
        ground=Ground.MANDATE,
        cause=MandateCause.ELDERLY,
        relation=AgentRelation.AGENT,
        acts=acts,
        starts_at=now,
        ends_at=now + timedelta(days=1),
        proof=Proof(Form.WRITTEN, "letter 7", now),
        region="000000",
    )
    row = town.service.issuer.acting.grant(secrets.token_hex(8), wish, "desk", now)
    return Acting(Ground.MANDATE, row.mandate_id)


def asked(acting: Acting) -> Asked:
    return Asked(secrets.token_hex(8), DESK, Channel.DESK, acting)


def refusal(step: Callable[[], object]) -> str:
    with pytest.raises(EcardError) as refused:
        step()
    return refused.value.code


def everything(town: Town, person: Person, acting: Acting) -> dict[str, Callable[[], object]]:
    """What an agent may begin with, by whichever route."""
    issuer, now, who = town.service.issuer, town.service.clock(), Who(card_ref=person.card_ref)
    life, pins = issuer.life, issuer.holders.pins
    ask = Ask(secrets.token_hex(8), 82, "03", code=town.code(person), acting=acting)
    return {
        "pin": lambda: pins.change(person.card_ref, OLD, NEW, DESK, now, acting=acting),
        "service": lambda: issuer.relying.desk.check("clinic", CLINIC, ask, now),
        "lock": lambda: life.words.lock(True, who, asked(acting), now),
        "unlock": lambda: life.words.lock(False, who, asked(acting), now),
        "order": lambda: life.replacements.order(ReplacementReason.DAMAGE, who, asked(acting), now),
    }


def test_what_an_agent_may_today_they_may_not_tomorrow(town: Town) -> None:
    person = town.person()
    acting = mandate(town, person)
    for step in everything(town, person, acting).values():
        step()
    life = town.service.issuer.life
    (case,) = [one for one in life.office.cases.cases_of(person.card_ref) if one.state == "ordered"]
    town.wait(days=1)
    now = town.service.clock()
    for step in everything(town, person, acting).values():
        assert refusal(step) == "mandate_ended"
    assert refusal(lambda: life.replacements.withdraw(case.case_id, asked(acting), now)) == "mandate_ended"
    assert refusal(lambda: life.replacements.collect(case.case_id, None, asked(acting), now)) == "mandate_ended"
    life.replacements.withdraw(case.case_id, asked(IN_PERSON), now)


def test_a_mandate_is_for_its_holder_its_ground_and_its_acts(town: Town) -> None:
    person, other = town.person(), town.person()
    acting = mandate(town, person)
    for step in everything(town, other, acting).values():
        assert refusal(step) == "mandate_unknown"
    assert acting.mandate_id is not None
    for ground in (Ground.GUARDIAN, Ground.AGENCY):
        for step in everything(town, person, Acting(ground, acting.mandate_id)).values():
            assert refusal(step) == "mandate_unknown"
    narrow = mandate(town, person, frozenset({Act.APPLY}))
    for step in everything(town, person, narrow).values():
        assert refusal(step) == "mandate_out_of_scope"


def test_no_agent_activates_an_account_by_any_route(town: Town) -> None:
    person = town.person()
    acting, now = mandate(town, person), town.service.clock()
    with pytest.raises(EcardError, match="mandate_out_of_scope"):
        mandate(town, person, AGENT_ACTS | {Act.ACTIVATE_BANK_ACCOUNT})
    accounts = town.service.issuer.relying.accounts
    assert refusal(lambda: accounts.activate(DESK, person.card_ref, acting, "1", now)) == "mandate_out_of_scope"
