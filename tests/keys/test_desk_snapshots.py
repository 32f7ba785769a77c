"""The desk signs snapshots of the feed as this house writes them, with keys of events, and nothing else like them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ecard_card import feed_snapshot, jose
from ecard_card.errors import InvalidInput, NotAllowed
from ecard_card.feed_snapshot import Chunk, Kind, Manifest
from ecard_keys.desk.desk import LocalDesk, SigningProfile
from ecard_keys.desk.journal import Outcome
from ecard_keys.desk.quotas import Quotas
from ecard_keys.key import KeyPurpose
from ecard_keys.verify import load_public_key, verify
from tests.keys.desk_support import ISSUER, LISTS, NOW, RULES, Bench, T, altered

PROFILE = SigningProfile.FEED_SNAPSHOT
DIGEST = jose.b64url_encode(bytes(32))
MANIFEST = Manifest(
    issuer=ISSUER,
    issued_at=T,
    stream="0",
    number=7,
    status_uri=LISTS,
    seq=12,
    digest=DIGEST,
    as_of=T,
    chunks=(Chunk(Kind.CREDENTIALS, 100, DIGEST), Chunk(Kind.STATUSES, 9, DIGEST)),
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def drafted(bench: Bench, **about: object) -> bytes:
    manifest = replace(MANIFEST, **about)  # type: ignore[arg-type]
    return feed_snapshot.draft(manifest, bench.keys[KeyPurpose.EVENT]).signing_input


def refusal(bench: Bench, draft: bytes, purpose: KeyPurpose = KeyPurpose.EVENT) -> str:
    with pytest.raises(InvalidInput) as caught:
        bench.desk.sign(PROFILE, bench.keys[purpose], [draft], NOW)
    assert caught.value.code == "draft_refused"
    *_, last = bench.journal.entries()
    assert last.outcome is Outcome.REFUSED
    return caught.value.detail.partition(":")[0]


def test_an_honest_snapshot_is_journaled_and_signed(bench: Bench) -> None:
    draft, key_id = drafted(bench, as_of=T - 86_400, chunks=MANIFEST.chunks * 1000), bench.keys[KeyPurpose.EVENT]
    (signature,) = bench.desk.sign(PROFILE, key_id, [draft], NOW)
    assert verify(load_public_key(bench.home.public_key(key_id)), draft, signature)
    *_, last = bench.journal.entries()
    assert (last.outcome, last.profile) == (Outcome.SIGNING, "feed-snapshot")


@pytest.mark.parametrize(
    ("about", "rule"),
    [
        ({"issuer": "https://other.example"}, "issuer"),
        ({"status_uri": "https://other.example/{list}"}, "status-list"),
        ({"stream": "1"}, "form"),
        ({"issued_at": T + 601}, "clock"),
        ({"issued_at": T - 601, "as_of": T - 601}, "clock"),
        ({"as_of": T - 86_401}, "clock"),
    ],
)
def test_a_snapshot_outside_the_rules_is_refused(bench: Bench, about: dict[str, object], rule: str) -> None:
    assert refusal(bench, drafted(bench, **about)) == rule


@pytest.mark.parametrize(
    ("change", "part", "rule"),
    [
        (lambda claims: claims.update(more=1), 1, "form"),
        (lambda claims: claims.pop("digest"), 1, "form"),
        (lambda claims: claims.update(n="7"), 1, "form"),
        (lambda claims: claims.update(seq=True), 1, "form"),
        (lambda claims: claims["statuses"].append([1, 2, 3]), 1, "form"),
        (lambda claims: claims.update({"iss": claims.pop("iss")}), 1, "rebuild"),
        (lambda header: header.update(kid="00000000"), 0, "key"),
        (lambda header: header.update(alg="SM2"), 0, "algorithm"),
        (lambda header: header.update(typ="secevent+jwt"), 0, "form"),
        (lambda header: header.update(x5c=["AA"]), 0, "form"),
        (lambda header: header.update({"alg": header.pop("alg")}), 0, "rebuild"),
    ],
)
def test_one_difference_from_our_own_form_is_refused(
    bench: Bench, change: Callable[[dict[str, Any]], object], part: int, rule: str
) -> None:
    assert refusal(bench, altered(drafted(bench), change, part=part)) == rule


@pytest.mark.parametrize("purpose", [KeyPurpose.STATUS, KeyPurpose.CREDENTIAL])
def test_keys_of_other_purposes_sign_none(bench: Bench, purpose: KeyPurpose) -> None:
    assert refusal(bench, drafted(bench), purpose) == "purpose"


def test_an_event_is_no_snapshot_and_a_snapshot_no_event(bench: Bench) -> None:
    assert refusal(bench, bench.event()) == "form"
    with pytest.raises(InvalidInput, match="draft_refused"):
        bench.desk.sign(SigningProfile.EVENT, bench.keys[KeyPurpose.EVENT], [drafted(bench)], NOW)


def test_a_caller_may_have_the_right_to_events_and_not_to_snapshots(bench: Bench) -> None:
    desk = LocalDesk(bench.home, [RULES], bench.journal, Quotas(), bench.clock, "e", profiles=[SigningProfile.EVENT])
    with pytest.raises(NotAllowed, match="signer_right_missing"):
        desk.sign(PROFILE, bench.keys[KeyPurpose.EVENT], [drafted(bench)], NOW)


def test_snapshots_have_a_quota_of_their_own(bench: Bench) -> None:
    desk = LocalDesk(bench.home, [RULES], bench.journal, Quotas(limits={("issuer", "feed-snapshot"): 1}), bench.clock)
    key_id = bench.keys[KeyPurpose.EVENT]
    desk.sign(PROFILE, key_id, [drafted(bench)], NOW)
    with pytest.raises(Exception, match="signing_quota_spent"):
        desk.sign(PROFILE, key_id, [drafted(bench)], NOW)
    assert desk.sign(SigningProfile.EVENT, key_id, [bench.event()], NOW)
