"""The issuing process is killed at every step, many times: nothing unrecorded, nothing bound twice, nothing lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select

from ecard_issuer.register import tables
from ecard_issuer.states import PlanState
from tests.faults.issuing_child import read

#: Every step between two of which a process can die; `signing` lies inside the key home.
POINTS = ("drafted", "planned", "signing", "signed", "committed")
ROUNDS = 4
CARDS = 3


def run(folder: Path, first: int, point: str, fatal: int) -> int:
    command = [
        sys.executable,
        "-m",
        "tests.faults.issuing_child",
        str(folder),
        str(first),
        str(CARDS),
        point,
        str(fatal),
    ]
    return subprocess.run(command, check=False, timeout=120, capture_output=True).returncode


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_issuer_leaves_nothing_unrecorded_and_a_restart_settles_it(point: str, tmp_path: Path) -> None:
    kills = 0
    for round_ in range(ROUNDS):
        status = run(tmp_path, 1 + round_ * CARDS, point, round_ % CARDS)
        assert status == -signal.SIGKILL
        kills += 1
    assert run(tmp_path, 1 + ROUNDS * CARDS, "never", 0) == 0
    counts = audit(tmp_path)
    print(json.dumps({"point": point, "kills": kills, **counts}))
    assert counts["signatures_without_plan"] == 0
    assert counts["double_bindings"] == 0
    assert counts["acked_but_lost"] == 0
    assert counts["open_plans"] == 0
    assert counts["reused_indexes"] == 0
    assert counts["acked"] >= CARDS
    if point in ("planned", "signing", "signed"):
        assert counts["voided_plans"] == kills
        assert counts["voided_but_not_invalid"] == 0


def audit(folder: Path) -> dict[str, int]:
    """Read the register as an auditor would: with its own eyes, not through the verbs under test."""
    journal = read(folder / "journal.jsonl")
    acked = {line["credential_id"] for line in journal if "acked" in line}
    signed = {line["sha256"] for line in read(folder / "signed.jsonl")}
    engine = create_engine(f"sqlite:///{folder / 'register.sqlite3'}")
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
