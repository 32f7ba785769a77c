"""The log of policies on both engines, and two people setting one through their offices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from ecard_card.errors import ApprovalNeeded, Conflict, InvalidInput, RuleViolation
from ecard_card.status import CardStatus
from ecard_issuer.approvals import Approvals
from ecard_issuer.policies.book import PolicyBook
from ecard_issuer.policies.office import PolicyOffice, digest_of
from ecard_issuer.policies.sql import SqlPolicyLog
from ecard_issuer.policies.values import LEAD, PolicyRow
from ecard_issuer.register import SqlRegister
from ecard_issuer.register.engine import writing
from ecard_issuer.rows import Grant
from tests.contracts.register_race import race
from tests.contracts.register_world import NOW, World, refused
from tests.issuer.register.conftest import postgres_engine, sqlite_engine
from tests.issuer.service import Clock

__all__ = ["postgres_engine", "sqlite_engine"]

HOUR = timedelta(hours=1)
HENAN = 'region = "410000"\n[effects]\ntemporarily_lost = "allow"\n'


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine


@pytest.fixture
def log(engine: Engine) -> SqlPolicyLog:
    return SqlPolicyLog(engine)


def row(region: str = "410000", document: str = HENAN, **other: Any) -> PolicyRow:
    return PolicyRow(0, region, NOW + HOUR, document, digest_of(document), "anna", NOW, **other)


def test_what_was_set_comes_back_in_order(log: SqlPolicyLog) -> None:
    stored = [log.append(row()), log.append(row("410100")), log.append(row())]
    assert [item.number for item in stored] == [1, 2, 3]
    assert log.after(0) == tuple(stored)
    assert log.after(2) == (stored[2],)
    assert log.after(3) == ()
    assert log.of_region("410000") == (stored[0], stored[2])
    assert log.of_region("110000") == ()


def test_writers_at_once_get_numbers_without_a_gap(log: SqlPolicyLog) -> None:
    assert race(*[lambda: log.append(row())] * 6) == {"won": 6}
    assert [item.number for item in log.after(0)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("statement", ["UPDATE region_policy SET document = ''", "DELETE FROM region_policy"])
def test_nobody_changes_what_was_set(engine: Engine, log: SqlPolicyLog, statement: str) -> None:
    log.append(row())
    with refused(Conflict, "register_conflict"), writing(engine) as connection:
        connection.execute(text(statement))
    assert log.after(0)[0].document == HENAN


def test_cards_are_counted_below_a_region(engine: Engine, log: SqlPolicyLog) -> None:
    world = World(SqlRegister(engine))
    for status in (CardStatus.NORMAL, CardStatus.NORMAL, CardStatus.LOST):
        world.card(status)  # of region 350100
    for region in ("000000", "350000", "350100"):
        assert log.cards_in(region) == {("350100", CardStatus.NORMAL): 2, ("350100", CardStatus.LOST): 1}
    for region in ("350101", "350200", "410000"):
        assert log.cards_in(region) == {}


def test_an_approval_that_does_not_fit_leaves_no_policy(log: SqlPolicyLog) -> None:
    with refused(RuleViolation, "approval_not_usable"):
        log.append(row(), grant=Grant("ef" * 8, "00"))
    assert log.after(0) == ()


class Offices:
    """Two processes over one register."""

    def __init__(self, engine: Engine, needed: int = 1) -> None:
        self.clock = Clock(NOW)
        self.approvals = Approvals(SqlRegister(engine), needed=needed)
        log = SqlPolicyLog(engine)
        self.book, self.other = PolicyBook(log, self.clock), PolicyBook(log, self.clock)
        self.office = PolicyOffice(log, self.book, self.approvals)

    def set(self, document: str = HENAN, ahead: timedelta = HOUR, actor: str = "anna") -> PolicyRow:
        return self.office.set(document, NOW + ahead, actor, self.clock())


SECOND = timedelta(microseconds=NOW.microsecond)  # `NOW` has a fraction, and moments are whole seconds
WHOLE = HOUR - SECOND


def test_two_people_set_a_policy_and_every_process_changes_over_at_its_moment(engine: Engine) -> None:
    offices = Offices(engine)
    assert offices.other.policy_of("410105", NOW).effects[CardStatus.TEMPORARILY_LOST] == "deny"
    with pytest.raises(ApprovalNeeded) as asked:
        offices.set(ahead=WHOLE)
    request = offices.approvals.get(asked.value.request_id)
    assert (request.action, request.subject) == ("policy.set", "410000")
    assert request.facts == {
        "effective_from": "2026-11-20T10:30:00.000Z",
        "digest": digest_of(HENAN),
        "source": "",
        "differences": ['effects.temporarily_lost: "deny" -> "allow"'],
    }
    offices.approvals.decide(request.request_id, "ben", approve=True, now=NOW)
    stored = offices.set(ahead=WHOLE)
    assert (stored.number, stored.set_by, stored.digest) == (1, "anna", digest_of(HENAN))
    assert offices.set(ahead=WHOLE, actor="carla") == stored  # said again: nothing to agree to, nothing new
    for book in (offices.book, offices.other):
        offices.clock.now = NOW + WHOLE - timedelta(seconds=1)
        assert book.policy_of("410105", offices.clock()).effects[CardStatus.TEMPORARILY_LOST] == "deny"
    for book in (offices.book, offices.other):
        offices.clock.now = NOW + WHOLE
        assert book.policy_of("410105", offices.clock()).effects[CardStatus.TEMPORARILY_LOST] == "allow"


@pytest.mark.parametrize(
    "other", [{"document": HENAN + "# another\n"}, {"ahead": WHOLE + HOUR}], ids=["document", "moment"]
)
def test_an_approval_is_for_one_document_and_one_moment(engine: Engine, other: dict[str, Any]) -> None:
    offices = Offices(engine)
    with pytest.raises(ApprovalNeeded) as asked:
        offices.set(ahead=WHOLE)
    offices.approvals.decide(asked.value.request_id, "ben", approve=True, now=NOW)
    with pytest.raises(ApprovalNeeded):
        offices.set(**({"ahead": WHOLE} | other))
    assert offices.set(ahead=WHOLE).number == 1


def test_a_policy_is_never_back_dated(engine: Engine) -> None:
    offices = Offices(engine, needed=0)
    for ahead in (timedelta(0), -HOUR, LEAD - timedelta(seconds=1)):
        with refused(RuleViolation, "policy_too_soon"):
            offices.set(ahead=ahead - SECOND)
    offices.set(ahead=WHOLE)
    offices.set('region = "410000"\n[pin]\ntries = 5\n', ahead=WHOLE)  # not in force yet: takes its place
    offices.clock.now = NOW + HOUR
    assert offices.book.policy_of("410000", offices.clock()).pin.tries == 5
    assert offices.book.policy_of("410000", offices.clock()).effects[CardStatus.TEMPORARILY_LOST] == "deny"
    with refused(RuleViolation, "policy_too_soon"):
        offices.set(ahead=WHOLE)
    assert [item.number for item in offices.book.history("410000")] == [1, 2]


def test_an_odd_moment_is_refused(engine: Engine) -> None:
    offices = Offices(engine, needed=0)
    for moment in (NOW + HOUR, (NOW + WHOLE).replace(tzinfo=None), NOW - SECOND + timedelta(days=4000)):
        with refused(InvalidInput, "bad_policy_moment"):
            offices.office.set(HENAN, moment, "anna", NOW)
    with refused(InvalidInput, "bad_region_policy"):
        offices.set("not toml", ahead=WHOLE)
    assert offices.book.history("410000") == ()


def test_a_dry_run_counts_cards_and_does_nothing(engine: Engine) -> None:
    offices, world = Offices(engine, needed=0), World(SqlRegister(engine))
    for status in (CardStatus.NORMAL, CardStatus.TEMPORARILY_LOST, CardStatus.TEMPORARILY_LOST):
        world.card(status)  # of region 350100
    document = HENAN.replace("410000", "350000")
    preview = offices.office.preview(document, NOW + WHOLE, NOW)
    assert (preview.cards, preview.changed) == (3, 2)
    assert preview.words("en")[0].endswith('(effects.temporarily_lost): "deny" becomes "allow".')
    assert preview.words("zh")[-1] == "适用本政策的卡：3 张；电子社保卡状态将改变的：2 张。"
    assert offices.book.history("350000") == ()
    offices.set('region = "350100"', ahead=WHOLE)  # the city's own goes before: no card is left for the province's
    assert offices.office.preview(document, NOW + WHOLE, NOW).cards == 0
    offices.set(document, ahead=WHOLE)
    assert offices.office.preview(document, NOW + WHOLE, NOW).words("en")[0].startswith("Nothing differs")
