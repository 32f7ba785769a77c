"""The desk signs settlement authorizations as this house writes them; who reads them wants exactly that form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ecard_card import jose
from ecard_card.card import ChipAssurance
from ecard_card.errors import EcardError, InvalidInput
from ecard_keys.desk.desk import SigningProfile
from ecard_keys.desk.journal import Outcome
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose
from ecard_keys.trust.trust import Trust
from ecard_keys.verify import load_public_key, verify
from ecard_qr.challenge import MAX_AMOUNT, Transaction
from ecard_verifier.settlement import ConsentWay, Settlement, draft_settlement, read_settlement, verify_settlement
from tests.keys.desk_support import ISSUER, NOW, Bench, T, altered
from tests.world import NOW as WORLD_NOW
from tests.world import World, seconds

PROFILE = SigningProfile.SETTLEMENT
SAID = Settlement(
    issuer=ISSUER,
    settlement_id="ab" * 16,
    subject="cd" * 16,
    merchant="city-hospital",
    counter="ctr-07",
    purpose="medical",
    transaction=Transaction(12_345, "medical-fund", "HIS/2026-000017"),
    challenge=bytes(range(16)),
    way=ConsentWay.DEVICE,
    assurance=ChipAssurance.SIGNATURE,
    authorized_at=T,
    expires_at=T + 900,
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def kid(bench: Bench) -> str:
    return bench.home.create(KeyPurpose.STATEMENT, NOW)


def draft(kid: str, said: Settlement = SAID) -> bytes:
    return draft_settlement(said, kid).signing_input


@pytest.mark.parametrize(
    "said",
    [
        SAID,
        replace(SAID, way=ConsentWay.PASSWORD, assurance=ChipAssurance.DECLARED, expires_at=T + 3 * 86_400),
        replace(SAID, counter="!" * 64, purpose="z" * 32, transaction=Transaction(MAX_AMOUNT, "a" * 64, "R" * 64)),
    ],
)
def test_an_honest_authorization_is_signed_and_reads_back(bench: Bench, kid: str, said: Settlement) -> None:
    whole = draft(kid, said)
    (signature,) = bench.desk.sign(PROFILE, kid, [whole], NOW)
    assert verify(load_public_key(bench.home.public_key(kid)), whole, signature)
    assert read_settlement(jose.b64url_decode(whole.decode().split(".")[1])) == said


CHANGES: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("issuer", lambda claims: claims.update(iss="https://other.example")),
    ("clock", lambda claims: claims.update(iat=T + 700)),
    ("form", lambda claims: claims.update(iat=True)),
    ("form", lambda claims: claims.update(amount="12345")),
    ("form", lambda claims: claims.update(amount=123.45)),
    ("amount", lambda claims: claims.update(amount=0)),
    ("amount", lambda claims: claims.update(amount=-1)),
    ("amount", lambda claims: claims.update(amount=MAX_AMOUNT + 1)),
    ("amount", lambda claims: claims.update(currency="USD")),
    ("validity", lambda claims: claims.update(exp=T)),
    ("validity", lambda claims: claims.update(exp=T + 4 * 86_400)),
    ("form", lambda claims: claims.update(sub="张三")),
    ("form", lambda claims: claims.update(jti="x")),
    ("audience", lambda claims: claims.update(aud="login.fund")),
    ("audience", lambda claims: claims.update(merchant="医院")),
    ("form", lambda claims: claims.update(counter="desk 7")),
    ("form", lambda claims: claims.update(purpose="Medical")),
    ("form", lambda claims: claims.update(reference="")),
    ("form", lambda claims: claims.update(challenge="A" * 21)),
    ("form", lambda claims: claims.update(challenge="A" * 21 + "B")),  # bits after the last byte
    ("form", lambda claims: claims.update(way="code")),
    ("form", lambda claims: claims.update(chip_assurance="sure")),
    ("form", lambda claims: claims.pop("challenge")),
    ("rebuild", lambda claims: claims.update(name="张三")),
]


@pytest.mark.parametrize(("rule", "change"), CHANGES)
def test_an_authorization_that_is_not_ours_is_not_signed(
    bench: Bench, kid: str, rule: str, change: Callable[[dict[str, Any]], None]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        bench.desk.sign(PROFILE, kid, [altered(draft(kid), change)], NOW)
    assert caught.value.code == "draft_refused"
    *_, last = bench.journal.entries()
    assert (last.outcome, last.reason) == (Outcome.REFUSED, rule)


def test_it_passes_for_no_other_kind_and_no_other_for_it(bench: Bench, kid: str) -> None:
    for profile in set(SigningProfile) - {PROFILE, SigningProfile.CREDENTIAL}:
        with pytest.raises(InvalidInput):
            bench.desk.sign(profile, kid, [draft(kid)], NOW)
    with pytest.raises(InvalidInput):
        bench.desk.sign(PROFILE, kid, [draft("00000000")], NOW)


STATEMENTS = EphemeralSigner()


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def trust(world: World) -> Trust:
    return world.trust((*world.records(), STATEMENTS.record(KeyPurpose.STATEMENT)))


def signed(said: Settlement, by: EphemeralSigner = STATEMENTS) -> str:
    whole = draft_settlement(said, by.key_id)
    return str(whole.complete(by.sign(by.key_id, [whole.signing_input])[0]))


def test_the_payer_judges_it_alone(world: World) -> None:
    now = WORLD_NOW
    said = replace(SAID, issuer=world.issuer, authorized_at=seconds(now), expires_at=seconds(now) + 900)
    token = signed(said)
    assert verify_settlement(token, trust(world), now, payer="medical-fund") == said

    def refusal(token: str, later: int = 0, payer: str = "medical-fund") -> str:
        with pytest.raises(EcardError) as caught:
            verify_settlement(token, trust(world), now + timedelta(seconds=later), payer=payer)
        return caught.value.code

    assert refusal(token, payer="other-fund") == "wrong_audience"
    assert refusal(token, 961) == "expired"
    assert refusal(token, -61) == "not_yet_valid"
    assert refusal(signed(replace(said, issuer="https://other.example"))) == "issuer_mismatch"
    dearer = replace(said, transaction=replace(said.transaction, amount=99_999))
    forged = draft_settlement(dearer, STATEMENTS.key_id).signing_input.decode() + "." + token.split(".")[2]
    assert refusal(forged) == "bad_signature"
    assert refusal(signed(said, world.credential_key)) == "key_wrong_purpose"
    assert refusal(signed(said, EphemeralSigner())) == "unknown_key"


@pytest.mark.parametrize(("rule", "change"), [row for row in CHANGES if row[0] not in {"issuer", "clock", "validity"}])
def test_who_reads_it_refuses_what_the_desk_would_not_have_signed(
    world: World, rule: str, change: Callable[[dict[str, Any]], None]
) -> None:
    said = replace(SAID, issuer=world.issuer, authorized_at=seconds(WORLD_NOW), expires_at=seconds(WORLD_NOW) + 900)
    whole = altered(draft_settlement(said, STATEMENTS.key_id).signing_input, change)
    seal = jose.b64url_encode(STATEMENTS.sign(STATEMENTS.key_id, [whole])[0])
    with pytest.raises(InvalidInput) as caught:
        verify_settlement(f"{whole.decode()}.{seal}", trust(world), WORLD_NOW)
    assert caught.value.code == "bad_settlement", rule
