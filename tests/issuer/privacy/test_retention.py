"""What is over goes when its region's policy says so; what a binding rests on stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from ecard_card.acting import IN_PERSON
from ecard_card.errors import Unavailable
from ecard_card.region import covers
from ecard_card.region_policy import regions_above
from ecard_issuer.policies.book import PolicyBook
from ecard_issuer.policies.office import digest_of
from ecard_issuer.policies.values import PolicyRow
from ecard_issuer.privacy.core_purges import ErasedPersonPurge, core_purges
from ecard_issuer.privacy.retention import BATCH, EVERY, MOST, Purgeable, RetentionJob, Scope
from ecard_issuer.register import tables
from ecard_issuer.register.engine import writing
from tests.contracts.register_world import NOW, refused
from tests.issuer.policies.test_book import Log
from tests.issuer.privacy.lives import Lives
from tests.issuer.service import Clock

DAY = timedelta(days=1)


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Lives]:
    opened = Lives(tmp_path)
    yield opened
    opened.close()


def policy(lives: Lives, document: str) -> None:
    now = lives.service.clock()
    lives.issuer.policies.office.set(document, now + timedelta(minutes=1), "anna", now)
    lives.service.clock.advance(60)


def gone(lives: Lives) -> dict[str, int]:
    job, now = lives.issuer.privacy.retention, lives.service.clock()
    foreseen = job.preview(now)
    assert foreseen == job.preview(now)  # looking changes nothing
    done = dict(job.run(now))
    assert all(done[name] >= count for name, count in foreseen.items())  # one that goes may let another go
    assert not any(job.run(now).values())
    return {name: count for name, count in done.items() if count}


def test_by_default_evidence_is_kept_for_ever(lives: Lives) -> None:
    lives.card(1)
    lives.issue(1)
    lives.challenge()
    lives.service.clock.advance(50 * 365 * 86_400)
    assert gone(lives) == {}


def test_evidence_goes_by_policy_but_not_from_under_a_binding(lives: Lives) -> None:
    policy(lives, 'region = "000000"\n[retention]\nchip_evidence = 30\naccesses = 10\nerasures = 20\n')
    card = lives.card(1)
    lives.issue(1)
    abandoned = lives.challenge()
    lives.service.clock.advance(31 * 86_400)
    assert gone(lives) == {"enrolments": 1}  # the challenge that nobody answered; the binding's proof stays
    with pytest.raises(Exception, match="enrolment_unknown"):
        lives.issuer.register.get_enrolment(abandoned)
    shown = lives.issuer.privacy.exporting.export("x-1", lives.id_number(1), IN_PERSON, "desk", lives.service.clock())
    assert "'evidence': {" in str(shown)

    lives.cancel(card)
    lives.service.clock.advance(31 * 86_400)
    assert gone(lives) == {"ended_bindings": 1, "enrolments": 1, "exports": 1}
    assert lives.issuer.register.ended_bindings(card)[0].evidence == b""


def test_the_proof_of_an_ended_binding_follows_it(lives: Lives) -> None:
    policy(lives, 'region = "000000"\n[retention]\nchip_evidence = 30\n')
    card = lives.card(1)
    lives.issue(1)
    lives.cancel(card)
    lives.service.clock.advance(40 * 86_400)
    assert gone(lives) == {"ended_bindings": 1, "enrolments": 1}
    shown = lives.issuer.privacy.exporting.export("x-1", lives.id_number(1), IN_PERSON, "desk", lives.service.clock())
    assert "'evidence': 'purged'" in str(shown)


def test_the_evidence_of_an_e_card_that_moved_is_kept_and_opens(lives: Lives) -> None:
    policy(lives, 'region = "000000"\n[retention]\nchip_evidence = 30\n')
    first, second = lives.card(1), lives.card(1, 2)
    lives.issue(1)
    lives.issuer.lifecycle.replace(first, second, lives.service.clock())
    for _ in range(3):
        lives.service.clock.advance(40 * 86_400)
        lives.issuer.privacy.retention.run(lives.service.clock())
    bound = lives.issuer.register.find_binding(second)
    assert bound is not None
    assert bound.evidence
    document = lives.issuer.privacy.exporting.export(
        "x-1", lives.id_number(1), IN_PERSON, "desk", lives.service.clock()
    )
    assert "'state': 'awaiting'" in str(document)
    assert "'evidence': {" in str(document)


def test_the_list_of_erased_people_outlives_its_backups_and_goes(lives: Lives) -> None:
    policy(lives, 'region = "000000"\n[retention]\nerasures = 20\n')
    lives.cancel(lives.card(1))
    lives.erase(1)
    lives.service.clock.advance(19 * 86_400)
    assert gone(lives) == {}
    lives.service.clock.advance(2 * 86_400)
    assert gone(lives) == {"erased_people": 1}
    assert lives.issuer.privacy.erasures.erased() == ()


@dataclass
class Kind:
    """A `Purgeable` of records with a region and a time each."""

    records: list[tuple[str, datetime]] = field(default_factory=list)
    name: str = "kind"
    term: str = "applications"
    regional: bool = True
    away: bool = False
    batches: list[int] = field(default_factory=list)

    def over(self, scope: Scope) -> list[tuple[str, datetime]]:
        return [
            record
            for record in self.records
            if record[1] < scope.before
            and covers(scope.region, record[0])
            and not any(covers(other, record[0]) for other in scope.without)
        ]

    def purge(self, scope: Scope, limit: int) -> int:
        if self.away:
            raise Unavailable("register_unavailable", "away")
        over = self.over(scope)
        taken = over[:limit]
        self.records = [record for record in self.records if record not in over] + over[limit:]
        self.batches.append(len(taken))
        return len(taken)

    def count(self, scope: Scope, limit: int) -> int:
        return len(self.over(scope)[:limit])


def job_of(*kinds: Purgeable, **days: str) -> RetentionJob:
    log = Log()
    for region, value in days.items():
        document = f'region = "{region[1:]}"\n[retention]\napplications = {value}\n'
        log.append(PolicyRow(0, region[1:], NOW - 400 * DAY, document, digest_of(document), "anna", NOW))
    return RetentionJob(PolicyBook(log, Clock(NOW)), kinds)


def test_each_record_goes_by_the_policy_of_its_own_region() -> None:
    """As if each record had asked the book by itself."""
    days = {"r000000": "100", "r410000": "50", "r410100": '"never"', "r410105": "10", "r110000": "400"}
    regions = ("410105", "410106", "410200", "110101", "990000", "410100", "410000", "000000")
    kind = Kind([(region, NOW - age * DAY) for region in regions for age in (5, 11, 51, 101, 399)])
    job = job_of(kind, **days)
    expected = []
    for region, closed in kind.records:
        value = next(days["r" + code] for code in regions_above(region) if "r" + code in days)
        if value != '"never"' and closed < NOW - int(value) * DAY:
            expected.append((region, closed))
    before = list(kind.records)
    assert job.preview(NOW) == {"kind": len(expected)}
    assert job.run(NOW) == {"kind": len(expected)}
    assert [record for record in before if record not in kind.records] == expected
    assert 0 < len(expected) < len(before)


def test_a_run_is_bounded_and_ends_when_it_is_told_to() -> None:
    kinds = [Kind([("410105", NOW - 100 * DAY)] * (MOST + 1), name=name) for name in ("one", "two")]
    turns = iter((True, False))
    assert job_of(*kinds, r000000="1").run(NOW, going=lambda: next(turns)) == {"one": MOST, "two": 0}


def test_one_kind_that_fails_keeps_no_other_from_its_turn() -> None:
    away, there = Kind(away=True, name="away"), Kind([("410105", NOW - 100 * DAY)], name="there")
    with refused(Unavailable, "register_unavailable"):
        job_of(away, there, r000000="1").run(NOW)
    assert there.records == []


def test_a_server_does_it_once_a_day_however_often_it_is_asked() -> None:
    kind = Kind()
    job = job_of(kind, r000000="1")
    job.upkeep(NOW)
    job.stop()
    assert kind.batches == []  # a command, or a service that was not started: nothing happens by itself
    job.start()
    for hour in range(49):
        job.upkeep(NOW + timedelta(hours=hour))
        assert job._worker is not None
        job._worker.join(10)
    assert len(kind.batches) == 1 + timedelta(hours=48) // EVERY
    job.stop()
    job.upkeep(NOW + timedelta(days=9))
    assert len(kind.batches) == 1 + timedelta(hours=48) // EVERY


def test_a_run_that_fails_is_logged_and_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    job = job_of(Kind(away=True), r000000="1")
    job.start()
    job.upkeep(NOW)
    job.stop()
    assert "retention: register_unavailable" in caplog.text


def test_a_kind_without_a_region_goes_by_the_whole_countrys_policy() -> None:
    kind = Kind([("000000", NOW - 60 * DAY)], regional=False)
    assert job_of(kind, r410000="1").run(NOW) == {"kind": 0}
    assert job_of(kind, r000000="50").run(NOW) == {"kind": 1}


def test_a_term_that_no_policy_has_is_noticed_at_once() -> None:
    with pytest.raises(TypeError, match="unheard_of"):
        job_of(Kind(term="unheard_of"))


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_pages_go_on_where_the_last_one_ended(kind: str, request: pytest.FixtureRequest) -> None:
    """More than two pages, many of one moment, some of another region; each is looked at once and none is missed."""
    engine: Engine = request.getfixturevalue(f"{kind}_engine")
    count = 2 * BATCH + 17
    with writing(engine) as connection:
        for start in range(0, count, BATCH):
            rows = [
                {"former_ref": f"{n:08x}", "key_mark": "00", "erased_at": NOW - (10 + n // 400) * DAY}
                for n in range(start, min(start + BATCH, count))
            ]
            connection.execute(tables.erased_person.insert(), rows)
    purge = ErasedPersonPurge(engine)
    everything = Scope("000000", (), NOW)
    assert purge.count(everything, MOST) == count
    assert purge.count(everything, 3) == 3
    assert purge.purge(Scope("000000", (), NOW - 11 * DAY), MOST) == count - 800
    assert purge.purge(everything, 5) == 5
    assert purge.purge(everything, MOST) == 795
    assert purge.count(everything, MOST) == 0


def test_no_statement_of_a_purge_needs_a_table_scan(sqlite_engine: Engine) -> None:
    seen: dict[str, Any] = {}

    @event.listens_for(sqlite_engine, "before_cursor_execute")
    def note(connection: object, cursor: object, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.startswith("SELECT"):
            seen[statement] = parameters

    for kind in core_purges(sqlite_engine):
        kind.count(Scope("410000", ("410100",), NOW), 10)
    assert len(seen) == len(core_purges(sqlite_engine))
    with sqlite3.connect(sqlite_engine.url.database or "") as looker:
        for statement, parameters in seen.items():
            steps = [step for *_, step in looker.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            assert not [step for step in steps if step.startswith("SCAN") and "CONSTANT" not in step], statement
            assert not [step for step in steps if "TEMP B-TREE" in step], statement
