"""`ecard key reissue`: dry run, approval, progress, what is left, and how it ends."""

from __future__ import annotations

import argparse
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ecard_card.errors import ApprovalNeeded, InvalidInput, NotFound, RuleViolation
from ecard_issuer.cli import reissue
from ecard_issuer.reissue import Reissue
from ecard_verifier.callers import Role
from ecard_verifier.service import utc_now
from tests.contracts.register_world import refused
from tests.issuer.reissuing import active, issue, promote, replaced_once
from tests.issuer.service import Clock, Service, open_service
from tests.provinces import Holding

CARDS = 7


def command(folder: Path, *arguments: str) -> int:
    """The command's exit status."""
    parser = argparse.ArgumentParser()
    reissue.register(parser.add_subparsers(required=True))
    options = parser.parse_args(["reissue", *arguments, "--data-dir", str(folder)])
    return int(options.func(options))


class Terminal:
    """`ecard key reissue …` on one data directory, as the first of two admins."""

    def __init__(self, service: Service, capsys: pytest.CaptureFixture[str]) -> None:
        self.service = service
        self.holdings: list[Holding] = issue(service, CARDS)
        self.old = promote(service)
        self._capsys = capsys

    def __call__(self, *arguments: str, exit_code: int = 0) -> tuple[str, str]:
        self._capsys.readouterr()
        assert command(self.service.issuer.settings.data_dir, *arguments) == exit_code
        said = self._capsys.readouterr()
        return said.out, said.err

    def json(self, *arguments: str, exit_code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", exit_code=exit_code)[0])


@pytest.fixture
def ecard(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    service = open_service(tmp_path, Clock(utc_now()))
    service.issuer.close()
    monkeypatch.setenv("ECARD_TOKEN", service.token(Role.OPERATOR))
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "0")
    return Terminal(service, capsys)


def test_a_dry_run_counts_and_changes_nothing(ecard: Terminal) -> None:
    for _ in range(2):
        assert ecard.json(ecard.old, "--dry-run") == {"kid": ecard.old, "waiting": CARDS, "uncollected": 0}
    assert f"{CARDS} credentials of key {ecard.old} would be made anew" in ecard(ecard.old, "--dry-run")[0]
    shares = [ecard.json(ecard.old, "--dry-run", "--part", f"{number}/4")["waiting"] for number in (1, 2, 3, 4)]
    assert sum(shares) == CARDS


def test_the_job_shows_its_progress_and_says_what_is_left(ecard: Terminal) -> None:
    said, talked = ecard(ecard.old)
    assert said.startswith(f"re-issued {CARDS} in ")
    assert "left: 0" in said
    assert f"{CARDS} old credentials end when their phone has fetched the new one" in said
    assert f"0% 0/{CARDS}, 0/s" in talked
    assert f"100% {CARDS}/{CARDS}, " in talked
    assert replaced_once(ecard.service, ecard.holdings)
    again = ecard.json(ecard.old)
    assert (again["reissued"], again["left"], again["uncollected"], again["passed_over"]) == (0, 0, CARDS, {})


def test_ending_at_once(ecard: Terminal) -> None:
    assert ecard.json(ecard.old, "--end-now")["uncollected"] == 0


def test_another_admin_is_waited_for_once(ecard: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "1")
    for _ in range(2):
        with pytest.raises(ApprovalNeeded) as needed:  # the command line's exit 4
            ecard(ecard.old)
    ecard.service.issuer.approvals.decide(needed.value.request_id, "second", approve=True, now=utc_now())
    assert ecard.json(ecard.old, "--part", "1/2")["left"] == 0
    assert ecard.json(ecard.old, "--part", "2/2")["left"] == 0
    assert replaced_once(ecard.service, ecard.holdings)


def test_what_is_left_is_counted_by_its_reason(ecard: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(self: Reissue, items: Any, now: object, progress: Any, **rest: object) -> None:
        progress.left["register_damaged"] += len(items)

    monkeypatch.setattr(Reissue, "_batch", damaged)
    left = ecard.json(ecard.old, exit_code=1)
    assert (left["reissued"], left["left"], left["passed_over"]) == (0, CARDS, {"register_damaged": CARDS})
    said, talked = ecard(ecard.old, exit_code=1)
    assert f"  register_damaged: {CARDS} (" in said
    assert "Run it again" in talked


def test_a_stop_by_hand_finishes_the_batch_and_the_next_run_goes_on(
    ecard: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = Reissue._batch

    def stopped(self: Reissue, items: Any, *rest: Any, **named: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        inner(self, items[:3], *rest, **named)

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patched:
        patched.setattr(Reissue, "_batch", stopped)
        assert ecard.json(ecard.old, exit_code=1)["left"] == CARDS - 3
    assert signal.getsignal(signal.SIGINT) == before
    assert ecard.json(ecard.old)["reissued"] == CARDS - 3
    assert replaced_once(ecard.service, ecard.holdings)


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "1/0", "1/999", "a/b", "1/2/3"])
def test_a_part_that_does_not_exist_is_refused_before_anything_is_opened(part: str, tmp_path: Path) -> None:
    with refused(InvalidInput, "bad_part"):
        command(tmp_path, "00000000", "--part", part)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_the_key_that_signs_and_unknown_ones_are_refused(ecard: Terminal, options: tuple[str, ...]) -> None:
    with refused(RuleViolation, "key_still_active"):
        ecard(active(ecard.service), *options)
    with refused(NotFound, "key_unknown"):
        ecard("00000000", *options)
