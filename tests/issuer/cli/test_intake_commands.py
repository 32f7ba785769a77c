"""`ecard import`, `ecard intake`, `ecard reconcile` as an operator runs them."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecard_card.errors import ApprovalNeeded, InvalidInput, NotFound, RuleViolation
from ecard_issuer.cli import import_files, intake, reconcile
from ecard_verifier.callers import Role
from tests.contracts.register_world import refused
from tests.issuer.intake.files import CHANGES, HEADER, card_row, card_rows, change_row, write
from tests.issuer.intake.kit import CardSystem
from tests.issuer.service import ORIGIN, open_service

Ecard = Callable[..., Any]

TAKEN = "2026-01-01T00:00:00Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    open_service(tmp_path / "data").issuer.close()
    return tmp_path


@pytest.fixture
def ecard(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ecard:
    """Runs a command; its JSON, or its lines without `json`."""
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "0")

    def run(*arguments: object, exit_code: int = 0, stdin: object = None, json_wanted: bool = True) -> Any:
        parser = argparse.ArgumentParser()
        commands = parser.add_subparsers(required=True)
        for module in (import_files, intake, reconcile):
            module.register(commands)
        if stdin is not None:
            monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(stdin)))
        options = ["--data-dir", str(folder / "data"), *(["--json"] if json_wanted else [])]
        args = parser.parse_args([*map(str, arguments), *options])
        assert args.func(args) == exit_code
        out = capsys.readouterr()
        run.said = out.err  # type: ignore[attr-defined]
        return json.loads(out.out) if json_wanted else out.out.splitlines()

    return run


def test_cards_and_changes_of_files(ecard: Ecard, folder: Path) -> None:
    cards = write(folder / "cards.csv", HEADER, [*card_rows(30), "wrong"], encoding="gbk")
    dead = folder / "dead.jsonl"
    report = ecard("import", "cards", cards, "--profile", "x", "--dead-letters", dead, exit_code=1)
    assert report["counts"] == {"bad_row": 1, "registered": 30}
    assert "31/31" in ecard.said  # type: ignore[attr-defined]
    assert [json.loads(line)["row"] for line in dead.read_text().splitlines()] == [31]
    changes = write(folder / "changes.csv", CHANGES, [change_row(1, "正式挂失", 1), change_row(99, "lock", 1)])
    assert ecard("import", "changes", changes, "--dry-run", exit_code=0)["counts"] == {"card_unknown": 1, "readable": 1}
    table = ecard("import", "changes", changes, exit_code=1, json_wanted=False)
    assert any(line.startswith("applied") for line in table)
    assert "--dead-letters" in ecard.said  # type: ignore[attr-defined]


def test_a_file_that_is_cut_is_said_and_goes_on(ecard: Ecard, folder: Path) -> None:
    whole = write(folder / "cards.csv", HEADER, card_rows(9)).read_bytes()
    part = folder / "part.csv"
    part.write_bytes(whole[:-30])
    assert ecard("import", "cards", part, "--profile", "x", exit_code=1)["cut"]
    assert "inside of a row" in ecard.said  # type: ignore[attr-defined]
    part.write_bytes(whole)
    assert ecard("import", "cards", part, "--profile", "x")["resumed_at"] == 8
    with refused(InvalidInput, "file_unreadable"):
        ecard("import", "cards", folder / "nowhere.csv")


def test_exceptions_are_listed_retried_and_dismissed(ecard: Ecard, folder: Path) -> None:
    changes = write(folder / "changes.csv", CHANGES, [change_row(5, "lock", 1), change_row(6, "lock", 3)])
    ecard("import", "changes", changes, exit_code=1)
    listed = ecard("intake", "list")
    assert listed["counts"] == {"card_unknown": 2}
    first, second = (row["exception_ref"] for row in listed["exceptions"])
    with refused(NotFound, "card_unknown"):
        ecard("intake", "retry", first)
    assert ecard("intake", "show", first)["state"] == "open"
    assert ecard("intake", "dismiss", second, "--reason", "a test card")["decided_by"] == "local admin"
    lines = ecard("intake", "list", json_wanted=False)
    assert len(lines) == 1
    ecard("import", "cards", write(folder / "cards.csv", HEADER, [card_row(5), card_row(6)]), "--profile", "x")
    assert ecard("intake", "list")["counts"] == {}
    assert ecard("intake", "show", first)["state"] == "resolved"
    more = write(folder / "more.csv", CHANGES, [change_row(6, "lock", 3, "2026-11-21 12:00:00")])
    ecard("import", "changes", more)
    assert [(gap["first"], gap["last"]) for gap in ecard("intake", "gaps")["gaps"]] == [(1, 2)]


def test_sources_are_registered_and_ended(ecard: Ecard, folder: Path) -> None:
    body = {
        "issuer": "https://cards.example", "keys": [CardSystem().jwk()], "regions": ["330100"], "audience": ORIGIN,
    }  # fmt: skip
    assert ecard("intake", "source", "county", "-", stdin=body)["delivery"] == "push"
    assert [row["name"] for row in ecard("intake", "sources")["sources"]] == ["county"]
    cards = write(folder / "cards.csv", HEADER, card_rows(2))
    report = ecard("import", "cards", cards, "--source", "county", "--profile", "x", exit_code=1)
    assert report["counts"] == {"region_not_of_source": 2}
    assert ecard("intake", "end", "county") == {"ended": "county"}
    with refused(NotFound, "source_unknown"):
        ecard("import", "cards", cards, "--source", "county")


def test_a_snapshot_is_compared_and_repaired_when_another_has_agreed(
    ecard: Ecard, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecard("import", "cards", write(folder / "cards.csv", HEADER, card_rows(5)), "--profile", "x")
    same = write(folder / "same.csv", HEADER, card_rows(5))
    assert ecard("reconcile", same, "--as-of", TAKEN)["counts"] == {}
    there = write(folder / "there.csv", HEADER, [card_row(n, status="2") for n in range(5)])
    service = open_service(folder / "data", approvals_needed=1)
    tokens = {
        name: service.issuer.operators.add(name, Role.OPERATOR, service.clock(), actor="first").token
        for name in ("first", "second")
    }
    service.issuer.close()
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "1")
    monkeypatch.setenv("ECARD_TOKEN", tokens["first"])
    report = folder / "report.jsonl"
    with pytest.raises(ApprovalNeeded) as waiting:
        ecard("reconcile", there, "--as-of", TAKEN, "--report", report, "--repair")
    assert waiting.value.code == "approval_needed"
    request = waiting.value.request_id
    service = open_service(folder / "data", approvals_needed=1)
    now = service.issuer.approvals.get(request).created_at
    service.issuer.approvals.decide(request, "second", approve=True, now=now)
    service.issuer.close()
    row = ecard("reconcile", report, "--approved", request)
    assert row["repairs"] == {"repaired": 5}
    assert ecard("reconcile", there, "--as-of", TAKEN)["counts"] == {}


def test_a_retry_of_what_was_never_read_is_refused(ecard: Ecard, folder: Path) -> None:
    service = open_service(folder / "data")
    system = CardSystem()
    with pytest.raises(InvalidInput):
        service.issuer.intake.events.receive(system.source(), "rubbish", service.clock())
    service.issuer.close()
    (row,) = ecard("intake", "list")["exceptions"]
    with refused(RuleViolation, "exception_not_repeatable"):
        ecard("intake", "retry", row["exception_ref"])
