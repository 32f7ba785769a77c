"""The issuing process is killed at every step, many times: nothing unrecorded, nothing bound twice, nothing lost."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from ecard_issuer.register import make_engine, tables
from ecard_issuer.states import PlanState
from tests.faults.forked import ended, forked
from tests.faults.issuing_child import issue, read

#: Every step between two of which a process can die; `signing` lies inside the key home.
POINTS = ("drafted", "planned", "signing", "signed", "committed")
ROUNDS = 4
CARDS = 3
#: Kills at any moment, by a timer of the kernel.
MOMENTS = 8

Record = Callable[[str, object], None]


def run(folder: Path, first: int, point: str, fatal: int, database_url: str) -> int:
    return ended(forked(issue, folder, first, CARDS, point, fatal, database_url))


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_issuer_leaves_nothing_unrecorded_and_a_restart_settles_it(
    point: str, tmp_path: Path, record_property: Record
) -> None:
    url = f"sqlite:///{tmp_path / 'register.sqlite3'}"
    for round_ in range(ROUNDS):
        assert run(tmp_path, 1 + round_ * CARDS, point, round_ % CARDS, url) == -signal.SIGKILL
    assert run(tmp_path, 1 + ROUNDS * CARDS, "never", 0, url) == 0
    counts = audit(tmp_path, url)
    record_property("counts", described(ROUNDS, counts))
    assert_nothing_lost(counts)
    if point in ("planned", "signing", "signed"):
        assert counts["voided_plans"] == ROUNDS


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_an_issuer_killed_at_any_moment_loses_nothing(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest, record_property: Record
) -> None:
    if engine == "postgresql":
        url = request.getfixturevalue("postgres_server").new_register()
    else:
        url = f"sqlite:///{tmp_path / 'register.sqlite3'}"
    kills = 0
    for moment in range(MOMENTS):
        status = run(tmp_path, 1 + moment * CARDS, "timer", 5 + 29 * moment, url)
        assert status in (0, -signal.SIGALRM)  # 0: done before the timer
        kills += status != 0
    assert run(tmp_path, 1 + MOMENTS * CARDS, "never", 0, url) == 0
    counts = audit(tmp_path, url)
    record_property("counts", described(kills, counts))
    assert kills
    assert_nothing_lost(counts)


def described(kills: int, counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in {"kills": kills, **counts}.items())


def assert_nothing_lost(counts: dict[str, int]) -> None:
    assert counts["acked"] >= CARDS
    for name in (
        "signatures_without_plan",
        "double_bindings",
        "acked_but_lost",
        "open_plans",
        "reused_indexes",
        "voided_but_not_invalid",
    ):
        assert counts[name] == 0, name


def audit(folder: Path, database_url: str) -> dict[str, int]:
    """Read the register as an auditor would: with its own eyes, not through the verbs under test."""
    journal = read(folder / "journal.jsonl")
    acked = {line["credential_id"] for line in journal if "acked" in line}
    signed = {line["sha256"] for line in read(folder / "signed.jsonl")}
    engine = make_engine(database_url)
    with engine.connect() as connection:
        plans = connection.execute(select(tables.plan)).all()
        planned = {hash_ for plan in plans for hash_ in plan.draft_hashes}
        credentials = {row.credential_id.hex() for row in connection.execute(select(tables.credential))}
        bindings = connection.execute(select(tables.binding)).all()
        slots = [(plan.list_id, plan.index) for plan in plans]
        voided = [plan for plan in plans if plan.state == PlanState.VOIDED]
        invalid = {
            (row.list_id, row.index)
            for row in connection.execute(select(tables.status_entry).where(tables.status_entry.c.value == 1))
        }
        proven = len({line["card_ref"] for line in journal if "card_ref" in line})
        live = connection.execute(select(func.count()).select_from(tables.credential)).scalar_one()
    return {
        "acked": len(acked),
        "signed": len(signed),
        "signatures_without_plan": len(signed - planned),
        "acked_but_lost": len(acked - credentials),
        "double_bindings": (len(bindings) - len({row.ecard_id for row in bindings}))
        + (len(bindings) - len({row.card_ref for row in bindings})),
        "cards": proven,
        "credentials": live,
        "open_plans": sum(plan.state == PlanState.PLANNED for plan in plans),
        "voided_plans": len(voided),
        "voided_but_not_invalid": sum((plan.list_id, plan.index) not in invalid for plan in voided),
        "reused_indexes": len(slots) - len(set(slots)),
    }
