"""`ecard wallet`, as an admin runs it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ecard_issuer.wallets.offers import PRE_AUTHORIZED
from ecard_issuer.wallets.values import Right
from ecard_verifier.callers import Caller, Role
from tests.issuer.cli.test_approval import Admins
from tests.issuer.service import Clock, open_service
from tests.issuer.wallet_kit import Key, key_proof, proven


@pytest.fixture
def admins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Admins:
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "1")
    return Admins(tmp_path, monkeypatch, capsys)


def test_a_wallet_is_registered_listed_and_ended(admins: Admins) -> None:
    assert admins.talk("anna", "wallet", "list")[2].strip() == "There is no wallet."
    added = admins.talk("anna", "wallet", "add", "wallet-1", "钱包一", "https://w.example/cb", "app.w:/cb", "--json")
    assert (added[0], json.loads(added[1])["redirect_uris"]) == (0, ["https://w.example/cb", "app.w:/cb"])
    assert admins.talk("anna", "wallet", "add", "wallet-2", "Two", "http://w.example/cb")[0] == 2
    assert "wallet-1  live  钱包一" in admins.talk("ben", "wallet", "list")[1]
    assert "ended by ben" in admins.talk("ben", "wallet", "end", "wallet-1")[1]
    assert "wallet-1  ended" in admins.talk("ben", "wallet", "list")[1]
    assert admins.talk("ben", "wallet", "end", "nobody")[0] == 5


def waiting(folder: Path) -> str:
    """A wallet's request that waits for a person: its id."""
    service = open_service(folder, Clock(datetime.now(UTC)))
    wallets, now = service.issuer.wallets, service.clock()
    made = wallets.offers.make(Right(proven(service)), Caller("desk", Role.DESK), now, review=True)
    grant: Any = made.document["grants"]
    form = {
        "grant_type": PRE_AUTHORIZED,
        "pre-authorized_code": grant[PRE_AUTHORIZED]["pre-authorized_code"],
        "tx_code": made.transaction_code,
    }
    token = str(wallets.tokens.redeem(form, None, now)["access_token"])
    proof = key_proof(Key(), wallets.nonces.make(now), now)
    body: dict[str, object] = {"credential_configuration_id": "ecard_sd_jwt", "proofs": {"jwt": [proof]}}
    handed = wallets.credentials.request(wallets.sessions.behind(token, None, now), body, now)
    service.issuer.close()
    assert handed.credentials is None
    return handed.batch_id


def test_reviews_are_listed_approved_and_refused(admins: Admins, tmp_path: Path) -> None:
    assert admins.talk("anna", "wallet", "reviews")[2].strip() == "Nothing waits for a review."
    assert admins.talk("anna", "wallet", "approve", "00" * 16)[0] == 5
    first, second = waiting(tmp_path), waiting(tmp_path)
    listed = json.loads(admins.talk("anna", "wallet", "reviews", "--json")[1])["reviews"]
    assert {one["review_id"] for one in listed} == {first, second}
    assert f"{first} approved by ben" in admins.talk("ben", "wallet", "approve", first)[1]
    assert f"{second} refused by anna" in admins.talk("anna", "wallet", "refuse", second, "--reason", "odd")[1]
    assert admins.talk("anna", "wallet", "approve", second)[0] == 1
    assert admins.talk("anna", "wallet", "reviews")[1] == ""
