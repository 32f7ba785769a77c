"""`ecard key`: the table, dry runs, exit codes, and an approval from the first command to the last."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from ecard_card.errors import ApprovalNeeded, InvalidInput, NotAuthenticated, RuleViolation
from ecard_issuer.cli import key
from ecard_verifier.callers import Role
from ecard_verifier.service import utc_now
from tests.issuer.service import Service, open_service


class Terminal:
    """`ecard key …` on one data directory, as one operator or nobody."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._capsys, self._monkeypatch = folder, capsys, monkeypatch

    def be(self, token: str) -> None:
        self._monkeypatch.setenv("ECARD_TOKEN", token)

    def __call__(self, *arguments: str, exit_code: int = 0) -> str:
        parser = argparse.ArgumentParser()
        key.register(parser.add_subparsers(required=True))
        options = parser.parse_args([*arguments, "--data-dir", str(self._folder)])
        assert options.func(options) == exit_code
        return self._capsys.readouterr().out

    def json(self, *arguments: str, exit_code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", exit_code=exit_code))

    def active(self, purpose: str = "credential") -> str:
        keys = self.json("list")["keys"]
        return next(str(row["kid"]) for row in keys if (row["purpose"], row["state"]) == (purpose, "active"))


@pytest.fixture
def authority(tmp_path: Path) -> Service:
    """A closed service: the commands open its folder, and its own connection makes operators and approvals."""
    opened = open_service(tmp_path, approvals_needed=1)
    opened.issuer.close()
    return opened


@pytest.fixture
def ecard(
    authority: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    terminal = Terminal(tmp_path, capsys, monkeypatch)
    terminal.be(authority.issuer.operators.add("first", Role.OPERATOR, authority.clock()).token)
    return terminal


def test_the_list_is_a_table_with_what_is_to_be_done_below(ecard: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    ecard("create", "status")
    lines = ecard("list").splitlines()
    assert lines[0].split() == ["KEY", "ID", "PURPOSE", "STATE", "ALGORITHM", "HOME", "SINCE", "NEXT", "CHANGE", "LIVE"]
    assert len({line.index("ES256") for line in lines[1:6]}) == 1, "columns are aligned"
    assert "may sign from" in lines[5]
    assert lines[-1] == "Nothing is due, late or unsafe."
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert ecard("list").startswith("密钥编号")


def test_a_dry_run_changes_nothing_and_ends_as_the_change_would(ecard: Terminal) -> None:
    made = ecard.json("create", "credential")
    before = ecard.json("list")
    early = ecard.json("promote", made["kid"], "--dry-run", exit_code=1)
    assert (early["refused"], early["possible_from"]) == ("key_lead_not_over", made["next_change_from"])
    assert ecard.json("promote", made["kid"], "--dry-run", "--despite-lead")["possible"] is True
    stolen = ecard.json("compromise", ecard.active(), "--cut-off", "none", "--dry-run")
    assert (stolen["successor"], stolen["approvals"]) == (made["kid"], 1)
    ecard("retire", ecard.active(), "--dry-run", exit_code=1)
    ecard("destroy", ecard.active(), "--dry-run", exit_code=1)
    ecard("schedule", "status", "--every-days", "90", "--dry-run")
    ecard("schedule", "status", "--off", "--dry-run", exit_code=1)  # there is none
    ecard("create", "event", "--dry-run")
    assert ecard.json("list") == before
    said = ecard("compromise", ecard.active(), "--cut-off", "2026-01-01T00:00:00Z", "--dry-run").splitlines()
    assert "Whoever has the key also chooses the dates" in said[3]


def test_a_change_needs_a_name_and_another_person(ecard: Terminal, authority: Service) -> None:
    made = ecard.json("create", "credential")["kid"]
    with pytest.raises(RuleViolation, match="key_lead_not_over"):
        ecard("promote", made)
    with pytest.raises(ApprovalNeeded) as needed:
        ecard("promote", made, "--despite-lead")
    issuer = authority.issuer
    issuer.approvals.decide(needed.value.request_id, "second", approve=True, now=utc_now())
    assert ecard.json("promote", made, "--despite-lead")["state"] == "active"
    ecard.be("")
    with pytest.raises(NotAuthenticated, match="operator_token_needed"):
        ecard("compromise", made, "--cut-off", "none")


@pytest.mark.parametrize("cut_off", ["yesterday", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", ""])
def test_a_cut_off_that_is_no_time_is_refused_before_anything_is_opened(ecard: Terminal, cut_off: str) -> None:
    with pytest.raises(InvalidInput, match="bad_cut_off"):
        ecard("compromise", "00000000", "--cut-off", cut_off)


def test_a_compromise_without_a_cut_off_is_wrong_usage(ecard: Terminal) -> None:
    with pytest.raises(SystemExit) as ended:
        ecard("compromise", "00000000")
    assert ended.value.code == 2


@pytest.mark.parametrize("verb", ["create", "promote", "retire", "compromise", "destroy", "schedule"])
def test_every_change_has_a_dry_run_and_a_help_that_says_what_it_does(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser(prog="ecard key")
    key.register(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args([verb, "--help"])
    text = capsys.readouterr().out
    assert "--dry-run" in text
    assert "--json" in text
    assert text.split("\n\n")[1].rstrip().endswith(".")
