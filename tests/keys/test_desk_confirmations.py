"""The desk signs confirmations as this house writes them, and nothing that differs from that in one byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecard_card import jose
from ecard_card.card import ChipAssurance
from ecard_card.errors import InvalidInput
from ecard_keys.desk.desk import SigningProfile
from ecard_keys.desk.journal import Outcome
from ecard_keys.key import KeyPurpose
from ecard_keys.verify import load_public_key, verify
from ecard_verifier.confirmation import Confirmation, draft_confirmation, read_claims
from tests.keys.desk_support import ISSUER, NOW, Bench, T, altered

PROFILE = SigningProfile.CONFIRMATION
SAID = Confirmation(
    issuer=ISSUER,
    confirmation_id="ab" * 16,
    service="pension-office",
    subject="cd" * 16,
    benefit="basic-pension",
    period="2026",
    way="code",
    assurance=ChipAssurance.SIGNATURE,
    confirmed_at=T,
    valid_until=T + 400 * 86_400,
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def kid(bench: Bench) -> str:
    return bench.home.create(KeyPurpose.STATEMENT, NOW)


def draft(kid: str) -> bytes:
    return draft_confirmation(SAID, kid).signing_input


def test_an_honest_confirmation_is_signed(bench: Bench, kid: str) -> None:
    (signature,) = bench.desk.sign(PROFILE, kid, [draft(kid)], NOW)
    assert verify(load_public_key(bench.home.public_key(kid)), draft(kid), signature)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("issuer", lambda claims: claims.update(iss="https://other.example")),
        ("clock", lambda claims: claims.update(iat=T + 700)),
        ("form", lambda claims: claims.update(iat=True)),
        ("form", lambda claims: claims.update(exp="never")),
        ("validity", lambda claims: claims.update(exp=T)),
        ("validity", lambda claims: claims.update(exp=T + 3 * 366 * 86_400)),
        ("form", lambda claims: claims.update(sub="张三")),
        ("form", lambda claims: claims.update(jti="x")),
        ("form", lambda claims: claims.update(benefit="Basic Pension")),
        ("form", lambda claims: claims.update(aud="养老处")),
        ("form", lambda claims: claims.update(period="2026-13")),
        ("form", lambda claims: claims.update(way="standing")),
        ("form", lambda claims: claims.update(chip_assurance="sure")),
        ("form", lambda claims: claims.pop("sub")),
        ("rebuild", lambda claims: claims.update(name="张三")),
        ("form", lambda claims: claims.update(sub={"name": "x"})),
    ],
)
def test_a_confirmation_that_is_not_ours_is_refused(
    bench: Bench, kid: str, rule: str, change: Callable[[dict[str, Any]], None]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        bench.desk.sign(PROFILE, kid, [altered(draft(kid), change)], NOW)
    assert caught.value.code == "draft_refused"
    *_, last = bench.journal.entries()
    assert (last.outcome, last.reason) == (Outcome.REFUSED, rule)


def test_each_kind_has_a_key_of_its_own(bench: Bench, kid: str) -> None:
    event_key = bench.keys[KeyPurpose.EVENT]
    for profile, key_id, what in (
        (PROFILE, event_key, draft(event_key)),
        (SigningProfile.EVENT, kid, draft(kid)),
        (SigningProfile.EVENT, event_key, draft(event_key)),
        (PROFILE, kid, draft("00000000")),
    ):
        with pytest.raises(InvalidInput):
            bench.desk.sign(profile, key_id, [what], NOW)


def test_what_the_desk_signs_reads_back(kid: str) -> None:
    assert read_claims(jose.b64url_decode(draft(kid).decode().split(".")[1])) == SAID
