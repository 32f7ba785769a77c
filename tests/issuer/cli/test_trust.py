"""`ecard trust` with offline roots, as two admins and two holders use it: plan, sign, publish by four eyes, show."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest

from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose
from ecard_keys.trust.content import IssuerEntry
from ecard_keys.trust.submission import make_submission
from ecard_sdk.cli import main
from ecard_verifier.service import utc_now


class Desk:
    """Two operators at one data directory, and two holders' folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ecard(self, *arguments: object) -> tuple[int, str, str]:
        """Exit status, what was printed, what was said."""
        out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main([str(argument) for argument in arguments])
        return status, out.buffer.getvalue().decode(), err.getvalue()

    def done(self, *arguments: object) -> str:
        status, out, err = self.ecard(*arguments)
        assert status == 0, err
        return out

    def holder(self, name: str) -> Path:
        """A holder's public half, made on first use."""
        public = self.folder / f"{name}.json"
        if not public.exists():
            (self.folder / f"{name}.pass").write_text(f"passphrase of {name}\n")
            public.write_text(
                self.done(
                    *("trust", "ceremony", "key", self.folder / f"{name}.key", "--name", name),
                    *("--passphrase-file", self.folder / f"{name}.pass"),
                )
            )
        return public

    def ceremony(self, plan: Path, *names: str) -> Path:
        """The plan signed by these holders, and what came out."""
        known = self.folder / "known-root.json"
        known.write_text(json.dumps(json.loads(plan.read_bytes())["root"]))
        for name in names:
            keys = ("--key-file", self.folder / f"{name}.key", "--passphrase-file", self.folder / f"{name}.pass")
            self.done("trust", "ceremony", "sign", plan, "--root", known, *keys, "--yes")
        result = plan.with_suffix(".out")
        self.done("trust", "ceremony", "finish", plan, "-o", result)
        return result


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk(tmp_path)
    root = tmp_path / "root.json"
    holders = [made.holder(name) for name in ("ana", "bo")]
    made.done("trust", "ceremony", "root", *holders, "--threshold", 2, "-o", root)
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("ECARD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ECARD_PUBLIC_ORIGIN", "https://issuer.example")
    monkeypatch.setenv("ECARD_REGIONS", "000000")
    monkeypatch.setenv("ECARD_TRUST_ROOT", str(root))
    return made


@pytest.fixture
def tokens(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The authority, its first operator's token and a second one's."""
    _, _, said = desk.ecard("init")
    first = said.split("shown this once: ")[1].split()[0]
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "0")
    second = json.loads(desk.done("operator", "add", "second", "--role", "operator", "--json"))["token"]
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "1")
    return [first, second]


def test_a_list_from_a_ceremony_is_published_by_two_people(
    desk: Desk, tokens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = desk.folder / "plan.json"
    desk.done("trust", "plan", "-o", plan)
    assert "+ new issuer https://issuer.example" in desk.done("trust", "ceremony", "show", plan)
    result = desk.ceremony(plan, "ana", "bo")
    monkeypatch.setenv("ECARD_TOKEN", tokens[0])
    status, _, said = desk.ecard("trust", "publish", result)
    assert (status, "approval_needed" in said) == (4, True)
    request = json.loads(desk.done("approval", "list", "--json"))["approvals"][0]
    assert (request["action"], request["subject"]) == ("trust.publish", "list 1")
    assert desk.ecard("approval", "approve", request["id"])[0] == 1  # one's own
    monkeypatch.setenv("ECARD_TOKEN", tokens[1])
    desk.done("approval", "approve", request["id"])
    desk.done("trust", "publish", result)
    shown = json.loads(desk.done("trust", "show", "--json"))
    assert (shown["version"], shown["root"], shown["expired"]) == (1, 1, False)
    assert len(shown["issuers"]["https://issuer.example"]) == 4
    assert desk.ecard("trust", "publish", result)[0] == 1  # this very list
    assert "Trust list version 1" in desk.done("trust", "show", result)


def test_roots_change_with_a_list_that_names_another_issuer(
    desk: Desk, tokens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "0")
    plan, root = desk.folder / "plan.json", desk.folder / "root.json"
    desk.done("trust", "plan", "-o", plan)
    desk.done("trust", "publish", desk.ceremony(plan, "ana", "bo"))
    holders = [desk.holder(name) for name in ("bo", "chen")]
    following = desk.folder / "root-2.json"
    desk.done("trust", "ceremony", "root", *holders, "--threshold", 1, "--after", root, "-o", following)
    other = EphemeralSigner()
    entry = IssuerEntry(
        "https://b.example", "https://b.example/lists/{list}", ("330000",), (other.record(KeyPurpose.CREDENTIAL, 1),)
    )
    submitted = desk.folder / "b.json"
    submitted.write_bytes(
        make_submission(entry, lambda record, message: other.sign(record.kid, [message])[0], int(utc_now().timestamp()))
    )
    again = desk.folder / "plan-2.json"
    desk.done("trust", "plan", "-o", again, "--issuer-file", submitted, "--root-file", following)
    desk.done("trust", "publish", desk.ceremony(again, "ana", "bo", "chen"))
    shown = json.loads(desk.done("trust", "show", "--json"))
    assert (shown["version"], shown["root"]) == (2, 2)
    assert list(shown["issuers"]) == ["https://issuer.example", "https://b.example"]


def test_an_entry_for_a_list_made_elsewhere_is_signed_by_its_keys(desk: Desk, tokens: list[str]) -> None:
    submitted, plan = desk.folder / "ours.json", desk.folder / "plan.json"
    desk.done("trust", "submit", "-o", submitted)
    desk.done("trust", "plan", "-o", plan, "--issuer-file", submitted)
    outer = json.loads(submitted.read_bytes())
    assert len(outer["signatures"]) == 4
    submitted.write_text(json.dumps(outer | {"signatures": outer["signatures"][:2]}))
    status, _, said = desk.ecard("trust", "plan", "-o", plan, "--issuer-file", submitted)
    assert (status, "submission_unproven" in said) == (1, True)
