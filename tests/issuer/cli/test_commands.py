"""The issuer's commands on a register, run as `ecard` runs them."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

import pytest

from ecard_card.errors import Conflict, EcardError, InvalidInput, NotFound
from ecard_issuer.assembly import build
from ecard_issuer.cli import bundle, card, key, life, operator, serve
from ecard_issuer.config import load
from ecard_keys.trust.root import read_root
from ecard_sdk.cli import main
from tests.issuer.service import ORIGIN, Service, open_service

COMMANDS = (bundle, card, operator, serve)


class Terminal:
    """Runs commands on one data directory."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._monkeypatch, self._capsys = folder, monkeypatch, capsys
        self.said = ""

    def __call__(self, *arguments: str, stdin: object = None, exit_code: int = 0) -> Any:
        """The JSON of a command that ends with `exit_code`."""
        parser = argparse.ArgumentParser()
        commands = parser.add_subparsers(required=True)
        for module in COMMANDS:
            module.register(commands)
        life.register_loss(commands)
        life.register_replacement(commands)
        key.register(commands.add_parser("key").add_subparsers(required=True))
        if stdin is not None:
            self._monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(stdin)))
        options = parser.parse_args([*arguments, "--data-dir", str(self.folder), "--json"])
        assert options.func(options) == exit_code
        output = self._capsys.readouterr()
        self.said = output.err
        return json.loads(output.out) if output.out else None


@pytest.fixture
def bodies(tmp_path: Path) -> Service:
    """A closed service: its folder is opened by the commands, its chips give card data."""
    opened = open_service(tmp_path)
    opened.issuer.close()
    return opened


@pytest.fixture
def ecard(
    bodies: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    return Terminal(tmp_path, monkeypatch, capsys)


def test_a_card_is_added_found_changed_and_replaced(ecard: Terminal, bodies: Service) -> None:
    first = ecard("card", "add", "-", stdin=bodies.card_body(1))
    assert first["status"] == 1
    with pytest.raises(Conflict, match="card_exists"):
        ecard("card", "add", "-", stdin=bodies.card_body(1))
    ref = first["card_ref"]
    assert ecard("card", "change", ref, "report_loss", "--event-id", "e1")["status"] == 2
    assert ecard("card", "change", ref, "report_loss", "--event-id", "e1")["applied"] is False
    found = ecard("card", "find", "-", stdin={"card_number": bodies.card_body(1)["card_number"]})
    assert [row["card_ref"] for row in found["cards"]] == [ref]
    ecard("card", "find", "-", stdin={"card_number": "TEST99999"}, exit_code=5)
    new = ecard("card", "add", "-", stdin=bodies.card_body(2) | {"holder": bodies.card_body(1)["holder"]})
    replaced = ecard("card", "replace", ref, new["card_ref"], "--source", "card system", "--sequence", "5")
    assert (replaced["change"], replaced["status"], replaced["missed"]) == ("replace", 9, 4)
    assert ecard("card", "show", ref)["ecard_status"] == "invalid"


def test_what_is_typed_wrong_is_an_error_without_the_data(ecard: Terminal, bodies: Service, tmp_path: Path) -> None:
    body = bodies.card_body(1)
    half = body | {"holder": {"name": body["holder"]["name"]}}
    documents: tuple[object, ...] = (body | {"surprise": 1}, body | {"status": 7}, [], half)
    for wrong in documents:
        with pytest.raises(InvalidInput, match="bad_document") as refused:
            ecard("card", "add", "-", stdin=wrong)
        assert body["holder"]["name"] not in str(refused.value)
        assert "surprise" not in str(refused.value)
    with pytest.raises(InvalidInput, match="bad_document: the file cannot be read"):
        ecard("card", "add", "/nonexistent")
    (tmp_path / "half.json").write_text("{")
    with pytest.raises(InvalidInput, match="bad_document: it is not JSON"):
        ecard("card", "find", str(tmp_path / "half.json"))
    with pytest.raises(NotFound, match="card_unknown"):
        ecard("card", "show", "ab" * 16)
    with pytest.raises(InvalidInput, match="bad_card_event"):
        ecard("card", "change", "ab" * 16, "lock", "--occurred-at", "noon")


def test_a_loss_a_replacement_and_an_end_from_documents(ecard: Terminal, bodies: Service) -> None:
    holder = bodies.card_body(1)["holder"]
    ref = ecard("card", "add", "-", stdin=bodies.card_body(1))["card_ref"]
    loss = ecard("loss", "report", "-", stdin={"request_id": "1", "holder": holder, "kind": "temporary"})
    assert (loss["card_ref"], loss["status"], loss["touched"]["bank_account"]) == (ref, 4, False)
    assert ecard("loss", "show", loss["case_id"])["state"] == "open"
    with pytest.raises(NotFound, match="case_unknown"):
        ecard("replacement", "show", loss["case_id"])
    assert ecard("loss", "release", "-", stdin={"request_id": "2", "card_ref": ref})["status"] == 1
    order = {"request_id": "3", "card_ref": ref, "reason": "damage"}
    gone = ecard("replacement", "order", "-", stdin=order)["case_id"]
    assert ecard("replacement", "withdraw", gone)["state"] == "withdrawn"
    case = ecard("replacement", "order", "-", stdin=order | {"request_id": "4"})["case_id"]
    new = ecard("card", "add", "-", stdin=bodies.card_body(2) | {"holder": holder})["card_ref"]
    assert ecard("replacement", "made", case, new)["state"] == "made"
    assert ecard("replacement", "ready", case)["state"] == "ready"
    assert ecard("replacement", "collected", case)["status"] == 1
    assert ecard("replacement", "show", case)["new_card_ref"] == new
    assert ecard("card", "review", "--region", "000000")["looked_at"] == 2
    assert ecard("card", "review") == {"looked_at": 0}
    death = {"request_id": "5", "card_ref": new, "cause": "death", "proof": "certificate 1"}
    assert ecard("card", "cancel", "-", stdin=death)["ecard_status"] == "invalid"


def test_a_key_is_made_promoted_and_listed(ecard: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "0")
    made = ecard("key", "create", "status")
    assert ecard("key", "promote", made["kid"], "--despite-lead")["state"] == "active"
    keys = {row["kid"]: (row["purpose"], row["state"]) for row in ecard("key", "list")["keys"]}
    assert keys[made["kid"]] == ("status", "active")
    assert sorted(keys.values()).count(("status", "verify-only")) == 1
    with pytest.raises(EcardError, match="key_change_impossible"):
        ecard("key", "promote", made["kid"])


def test_an_operator_is_shown_once_and_revoked(ecard: Terminal) -> None:
    made = ecard("operator", "add", "front desk", "--role", "counter")
    assert made["token"].startswith("ecop_")
    listed = ecard("operator", "list")
    assert made["token"] not in json.dumps(listed)
    assert [(row["name"], row["role"], row["revoked_at"]) for row in listed["operators"]] == [
        ("front desk", "counter", None)
    ]
    assert ecard("operator", "revoke", "front desk") == {"name": "front desk", "revoked": 1}
    assert ecard("operator", "list")["operators"][0]["revoked_at"] is not None


def test_the_trust_root_and_the_bundle_go_to_files(ecard: Terminal, tmp_path: Path) -> None:
    ecard("trust-root", "-o", str(tmp_path / "root.json"))
    root = read_root((tmp_path / "root.json").read_bytes())
    issuer = build(load(data_dir=tmp_path))
    assert root == issuer.keys.root()
    assert issuer.identity.issuer == ORIGIN
    issuer.close()
    with pytest.raises(EcardError, match="output_unwritable"):
        ecard("trust-root", "-o", str(tmp_path / "nowhere" / "root.json"))


def test_offline_is_for_the_verifier_alone(ecard: Terminal) -> None:
    with pytest.raises(InvalidInput, match="bad_usage"):
        ecard("serve", "issuer", "--offline", "bundle.json")


def test_a_wrong_check_character_of_a_card_number_is_a_warning_and_no_refusal(ecard: Terminal, bodies: Service) -> None:
    right = ecard("card", "add", "-", stdin=bodies.card_body(1))
    assert (right["warnings"], "warning" in ecard.said) == ([], False)
    odd = ecard("card", "add", "-", stdin=bodies.card_body(2) | {"card_number": "TEST00010"})
    assert odd["warnings"] == ["card_number_check"]
    assert "card_number_check" in ecard.said
    assert "TEST00010" not in ecard.said


@pytest.mark.parametrize("command", ["mock", "serve"])
@pytest.mark.parametrize("port", ["99999999", "65536", "-1", "8o80", "", "８０"])
def test_a_port_that_is_none_is_wrong_usage(command: str, port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, f"--port={port}"])
    assert ended.value.code == 2
    assert "want a number from 0 to 65535" in capsys.readouterr().err
