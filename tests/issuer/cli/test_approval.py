"""`ecard approval`, and commands that wait for it, as two admins run them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from ecard_card.errors import ApprovalNeeded, EcardError, NotAllowed, NotAuthenticated, RuleViolation
from ecard_issuer.cli import approval, operator
from ecard_sdk.cli import main
from ecard_verifier.callers import Role
from tests.contracts.register_world import refused
from tests.issuer.service import open_service

Answer = dict[str, Any]


class Admins:
    """A data directory and the people who run commands on it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._monkeypatch, self._capsys = folder, monkeypatch, capsys
        service = open_service(folder)
        adding = service.issuer.operators.add
        self.tokens = {name: adding(name, Role.OPERATOR, service.clock()).token for name in ("anna", "ben")}
        self.tokens["anna too"] = adding("anna", Role.OPERATOR, service.clock()).token
        self.tokens["desk"] = adding("desk", Role.COUNTER, service.clock()).token
        self.tokens["nobody"] = "ecop_" + "A" * 43
        service.issuer.close()
        monkeypatch.delenv("ECARD_TOKEN_FILE", raising=False)

    def be(self, who: str | None) -> None:
        if who is None:
            self._monkeypatch.delenv("ECARD_TOKEN", raising=False)
        else:
            self._monkeypatch.setenv("ECARD_TOKEN", self.tokens[who])

    def run(self, who: str | None, *arguments: str) -> Answer:
        """The JSON of one command, run as that person."""
        self.be(who)
        parser = argparse.ArgumentParser()
        commands = parser.add_subparsers(required=True)
        for module in (approval, operator):
            module.register(commands)
        self._capsys.readouterr()
        options = parser.parse_args([*arguments, "--data-dir", str(self._folder), "--json"])
        assert options.func(options) == 0
        answer: Answer = json.loads(self._capsys.readouterr().out)
        return answer

    def refused_by(self, who: str | None, *arguments: str) -> EcardError:
        with pytest.raises(EcardError) as told:
            self.run(who, *arguments)
        return told.value

    def talk(self, who: str, *arguments: str) -> tuple[int, str, str]:
        """Exit status and what a person reads, from the whole `ecard`."""
        self.be(who)
        self._capsys.readouterr()
        status = main([*arguments, "--data-dir", str(self._folder)])
        output = self._capsys.readouterr()
        return status, output.out, output.err


@pytest.fixture
def admins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Admins:
    monkeypatch.setenv("LC_ALL", "C")
    return Admins(tmp_path, monkeypatch, capsys)


ADD = ("operator", "add", "carla")


def test_one_asks_another_agrees_and_the_first_runs_it_again(admins: Admins) -> None:
    asked = admins.refused_by("anna", *ADD)
    assert isinstance(asked, ApprovalNeeded)
    shown = admins.run("ben", "approval", "show", asked.request_id)
    assert (shown["action"], shown["subject"], shown["facts"]) == (
        "operator.add",
        "carla",
        {"role": "operator", "further_token_of_a_known_caller": False},
    )
    for own in ("anna", "anna too"):
        with refused(RuleViolation, "approval_own_request"):
            admins.run(own, "approval", "approve", asked.request_id)
    agreed = admins.run("ben", "approval", "approve", asked.request_id, "--reason", "we spoke")
    assert (agreed["state"], agreed["votes"][0]["approver"]) == ("approved", "ben")
    assert admins.run("anna", *ADD)["name"] == "carla"
    assert admins.run("anna", "approval", "list")["approvals"] == []
    (over,) = admins.run("anna", "approval", "list", "--all")["approvals"]
    assert over["state"] == "used"


def test_a_refusal_ends_it(admins: Admins) -> None:
    asked = admins.refused_by("anna", "operator", "revoke", "ben")
    assert isinstance(asked, ApprovalNeeded)
    assert admins.run("ben", "approval", "refuse", asked.request_id)["state"] == "refused"
    again = admins.refused_by("anna", "operator", "revoke", "ben")
    assert isinstance(again, ApprovalNeeded)
    assert again.request_id != asked.request_id


@pytest.mark.parametrize("command", [ADD, ("approval", "approve", "00" * 8)], ids=["asking", "agreeing"])
def test_who_does_not_say_who_they_are_gets_nowhere(
    admins: Admins, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for who in (None, "nobody"):
        with refused(NotAuthenticated, "operator_token_needed"):
            admins.run(who, *command)
    with refused(NotAllowed, "not_allowed"):
        admins.run("desk", *command)
    monkeypatch.setenv("ECARD_TOKEN_FILE", str(tmp_path / "missing"))
    with refused(NotAuthenticated, "operator_token_needed"):
        admins.run("anna", *command)


def test_a_token_may_lie_in_a_file(admins: Admins, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(admins.tokens["ben"] + "\n")
    asked = admins.refused_by("anna", *ADD)
    assert isinstance(asked, ApprovalNeeded)
    monkeypatch.setenv("ECARD_TOKEN_FILE", str(file))
    assert admins.run(None, "approval", "approve", asked.request_id)["votes"][0]["approver"] == "ben"


def test_with_four_eyes_switched_off_no_token_is_needed(admins: Admins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "0")
    assert admins.run(None, *ADD)["name"] == "carla"


def test_a_person_is_told_what_to_do_next(admins: Admins) -> None:
    status, out, told = admins.talk("anna", *ADD)
    assert (status, out) == (4, "")
    assert "another admin runs `ecard approval approve " in told
    assert "run this same command again" in told
    request_id = told.split("request ", 1)[1][:16]
    status, out, _ = admins.talk("ben", "approval", "list")
    assert status == 0
    assert out.startswith(f"{request_id}  pending   operator.add carla  asked by anna until ")
    status, out, _ = admins.talk("ben", "approval", "show", request_id)
    assert '  role: "operator"' in out.splitlines()
    status, out, told = admins.talk("ben", "approval", "approve", request_id)
    assert status == 0
    assert "approved by ben" in out
    assert "anna can now run the command again" in told
    assert admins.talk("anna", *ADD)[0] == 0
    assert admins.talk("ben", "approval", "list")[1] == ""
    assert admins.talk("ben", "approval", "show", "00" * 8)[0] == 5
