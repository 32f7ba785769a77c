"""A re-issue job is killed at every step, and beside others of its kind: the next run leaves nothing undone, and
nothing twice."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from ecard_issuer.key_homes import JOURNAL_FOLDER
from ecard_issuer.register import tables
from ecard_issuer.rows import ReissueCount
from ecard_issuer.states import PlanState
from ecard_keys.desk.journal import Journal, Outcome
from tests.faults.forked import ended, forked
from tests.faults.reissue_child import BATCH, reissue
from tests.issuer.reissuing import issue, promote, replaced_once
from tests.issuer.service import Service, open_service

CARDS = 20
Record = Callable[[str, object], None]


@pytest.mark.parametrize("point", ["planned", "signed", "committed"])
def test_a_killed_job_is_finished_by_the_next(point: str, tmp_path: Path, record_property: Record) -> None:
    url = f"sqlite:///{tmp_path / 'register.sqlite3'}"
    service = open_service(tmp_path, database_url=url)
    holdings, old = issue(service, CARDS), promote(service)
    service.issuer.close()
    for round_ in range(2):
        assert ended(forked(reissue, tmp_path, old, point, round_, url)) == -signal.SIGKILL
    counts = finish(service, old)
    record_property("counts", ", ".join(f"{name} {count}" for name, count in counts.items()))
    assert replaced_once(service, holdings)
    assert counts["voided"] == (0 if point == "committed" else 2 * BATCH)
    service.issuer.close()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_jobs_side_by_side_of_which_one_is_killed(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest, record_property: Record
) -> None:
    if engine == "postgresql":
        url = request.getfixturevalue("postgres_server").new_register()
    else:
        url = f"sqlite:///{tmp_path / 'register.sqlite3'}"
    service = open_service(tmp_path, database_url=url)
    holdings, old = issue(service, CARDS), promote(service)
    service.issuer.close()
    jobs = [
        forked(reissue, tmp_path, old, "timer", 12, url),
        *(forked(reissue, tmp_path, old, "never", 0, url) for _ in range(2)),
    ]
    assert [ended(job) for job in jobs] in ([-signal.SIGALRM, 0, 0], [0, 0, 0])  # 0: done before the timer
    counts = finish(service, old)
    record_property("counts", ", ".join(f"{name} {count}" for name, count in counts.items()))
    assert replaced_once(service, holdings)
    service.issuer.close()


def finish(service: Service, old: str) -> dict[str, int]:
    """The last run, when the plans of the killed are over; then an audit of plans, entries and the signing journal."""
    issuer = service.issuer
    service.clock.advance(61)
    done = issuer.reissue.run(old, service.clock, pause=service.clock.advance).done
    assert issuer.reissue.count(old, service.clock()) == ReissueCount(0, CARDS)
    assert issuer.register.stale_plans(service.clock() + timedelta(days=1)) == ()
    with issuer.engine.connect() as connection:
        plans = connection.execute(select(tables.plan)).all()
        entries = connection.execute(select(tables.status_entry)).all()
        bindings = connection.execute(select(tables.binding)).all()
    planned = {hash_ for plan in plans for hash_ in plan.draft_hashes}
    signed = {
        draft
        for record in Journal(issuer.settings.data_dir / JOURNAL_FOLDER).entries()
        if (record.profile, record.outcome) == ("credential", Outcome.SIGNING)
        for draft in record.drafts
    }
    assert signed <= planned, "every signature follows a recorded plan"
    assert len({(plan.list_id, plan.index) for plan in plans}) == len(plans)
    voided = {plan.plan_id for plan in plans if plan.state == PlanState.VOIDED}
    assert {entry.plan_id for entry in entries if entry.value == 1} == voided
    assert len(bindings) == len({row.ecard_id for row in bindings}) == CARDS
    states = Counter(plan.state for plan in plans)
    assert states[PlanState.PLANNED] == 0
    assert states[PlanState.COMMITTED] == 2 * CARDS
    return {"cards": CARDS, "signed": len(signed), "voided": len(voided), "done by the last run": done}
