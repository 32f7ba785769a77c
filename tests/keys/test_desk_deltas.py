"""The desk signs status deltas as this house writes them, with keys of statuses, and nothing else in their form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ecard_card import jose, status_delta
from ecard_card.errors import InvalidInput, NotAllowed
from ecard_card.status_delta import StatusDelta
from ecard_keys.desk.desk import LocalDesk, SigningProfile
from ecard_keys.desk.journal import Outcome
from ecard_keys.desk.quotas import Quotas
from ecard_keys.key import KeyPurpose
from ecard_keys.verify import load_public_key, verify
from tests.keys.desk_support import ISSUER, NOW, RULES, Bench, T, altered

DELTA = StatusDelta(
    issuer=ISSUER,
    issued_at=T,
    expires_at=T + 86_400,
    number=7,
    after=10,
    upto=12,
    previous=jose.b64url_encode(bytes(32)),
    as_of=T,
    trust_list=1,
    changes=((1, 5, 2), (7, 9, 1)),
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def drafted(bench: Bench, **about: object) -> bytes:
    delta = replace(DELTA, **about)  # type: ignore[arg-type]
    return status_delta.draft(delta, bench.keys[KeyPurpose.STATUS]).signing_input


def refusal(bench: Bench, draft: bytes, purpose: KeyPurpose = KeyPurpose.STATUS) -> str:
    with pytest.raises(InvalidInput) as caught:
        bench.desk.sign(SigningProfile.STATUS_DELTA, bench.keys[purpose], [draft], NOW)
    assert caught.value.code == "draft_refused"
    *_, last = bench.journal.entries()
    assert last.outcome is Outcome.REFUSED
    return caught.value.detail.partition(":")[0]


def test_honest_deltas_are_signed(bench: Bench) -> None:
    drafts = [drafted(bench), drafted(bench, number=8, after=12, changes=(), as_of=T - 60)]
    key_id = bench.keys[KeyPurpose.STATUS]
    signatures = bench.desk.sign(SigningProfile.STATUS_DELTA, key_id, drafts, NOW)
    key = load_public_key(bench.home.public_key(key_id))
    assert all(verify(key, draft, made) for draft, made in zip(drafts, signatures, strict=True))


@pytest.mark.parametrize(
    ("about", "rule"),
    [
        ({"issuer": "https://other.example"}, "issuer"),
        ({"issued_at": T + 601, "as_of": T}, "clock"),
        ({"issued_at": T - 601, "as_of": T - 601}, "clock"),
        ({"expires_at": T + 2 * 86_400 + 1}, "validity"),
        ({"as_of": T - 86_400 - 60, "expires_at": T + 86_400 + 1}, "validity"),
    ],
)
def test_a_delta_outside_the_rules_is_refused(bench: Bench, about: dict[str, object], rule: str) -> None:
    assert refusal(bench, drafted(bench, **about)) == rule


@pytest.mark.parametrize(
    ("change", "part", "rule"),
    [
        (lambda claims: claims.update(more=1), 1, "form"),
        (lambda claims: claims.pop("prev"), 1, "form"),
        (lambda claims: claims.update(n="7"), 1, "form"),
        (lambda claims: claims.update(to=11), 1, "form"),
        (lambda claims: claims.update(changes="gQA"), 1, "form"),
        (lambda claims: claims.update({"iss": claims.pop("iss")}), 1, "rebuild"),
        (lambda header: header.update(kid="00000000"), 0, "key"),
        (lambda header: header.update(alg="SM2"), 0, "algorithm"),
        (lambda header: header.update(typ="statuslist+jwt"), 0, "form"),
        (lambda header: header.update(x5c=["AA"]), 0, "form"),
        (lambda header: header.update({"alg": header.pop("alg")}), 0, "rebuild"),
    ],
)
def test_one_difference_from_our_own_form_is_refused(
    bench: Bench, change: Callable[[dict[str, Any]], object], part: int, rule: str
) -> None:
    assert refusal(bench, altered(drafted(bench), change, part=part)) == rule


@pytest.mark.parametrize("purpose", [KeyPurpose.EVENT, KeyPurpose.CREDENTIAL])
def test_keys_of_other_purposes_sign_no_delta(bench: Bench, purpose: KeyPurpose) -> None:
    assert refusal(bench, drafted(bench), purpose) == "purpose"


def test_a_list_is_no_delta_and_a_delta_no_list(bench: Bench) -> None:
    assert refusal(bench, bench.status_jwt()) == "form"
    assert refusal(bench, bench.status_cwt()) == "form"
    with pytest.raises(InvalidInput, match="draft_refused"):
        bench.desk.sign(SigningProfile.STATUS_LIST, bench.keys[KeyPurpose.STATUS], [drafted(bench)], NOW)


def test_any_single_byte_changed_is_refused(bench: Bench) -> None:
    draft = drafted(bench)
    for place in range(0, len(draft), 5):
        other = b"A" if draft[place : place + 1] != b"A" else b"B"
        damaged = draft[:place] + other + draft[place + 1 :]
        try:
            bench.desk.sign(SigningProfile.STATUS_DELTA, bench.keys[KeyPurpose.STATUS], [damaged], NOW)
        except InvalidInput:
            continue
        # What the damage made is another honest delta: a digit of a time, a character of a digest.
        opened = status_delta.sealed(damaged.decode() + "." + jose.b64url_encode(bytes(64))).open()
        assert status_delta.draft(opened, bench.keys[KeyPurpose.STATUS]).signing_input == damaged


def test_a_caller_may_have_the_right_to_lists_and_not_to_deltas(bench: Bench) -> None:
    desk = LocalDesk(
        bench.home, [RULES], bench.journal, Quotas(), bench.clock, "lists", profiles=[SigningProfile.STATUS_LIST]
    )
    with pytest.raises(NotAllowed, match="signer_right_missing"):
        desk.sign(SigningProfile.STATUS_DELTA, bench.keys[KeyPurpose.STATUS], [drafted(bench)], NOW)


def test_deltas_have_a_quota_of_their_own(bench: Bench) -> None:
    quotas = Quotas(limits={("issuer", "status-delta"): 2})
    desk = LocalDesk(bench.home, [RULES], bench.journal, quotas, bench.clock)
    key_id = bench.keys[KeyPurpose.STATUS]
    desk.sign(SigningProfile.STATUS_DELTA, key_id, [drafted(bench)] * 2, NOW)
    with pytest.raises(Exception, match="signing_quota_spent"):
        desk.sign(SigningProfile.STATUS_DELTA, key_id, [drafted(bench)], NOW + timedelta(minutes=1))
    assert desk.sign(SigningProfile.STATUS_LIST, key_id, [bench.status_jwt()], NOW)
