"""The desk signs what this house writes, within the rules, and nothing that differs from it in one byte."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ecard_card import cbor, cose, cwt, jose, status_token
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.credential import StatusRef, card_type
from ecard_card.errors import EcardError, InvalidInput
from ecard_card.status import CardChange, EcardStatus
from ecard_keys.desk.desk import SigningProfile
from ecard_keys.desk.journal import Outcome
from ecard_keys.key import KeyPurpose
from ecard_keys.verify import load_public_key, verify
from ecard_verifier import feed
from tests.keys.desk_support import CREDENTIAL, NOW, POINT, RULES, Bench, T, altered, said
from tests.require import require

CREDENTIALS, LISTS, EVENTS = SigningProfile.CREDENTIAL, SigningProfile.STATUS_LIST, SigningProfile.EVENT


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def refusal(bench: Bench, profile: SigningProfile, drafts: list[bytes], key_id: str) -> str:
    """The rule that a draft is refused by; nothing is signed, and the refusal is in the journal."""
    with pytest.raises(InvalidInput) as caught:
        bench.desk.sign(profile, key_id, drafts, NOW)
    assert caught.value.code == "draft_refused"
    *_, last = bench.journal.entries()
    rule = caught.value.detail.partition(":")[0]
    assert (last.outcome, last.reason) == (Outcome.REFUSED, rule)
    return rule


def refused_pair(bench: Bench, drafts: list[bytes]) -> str:
    return refusal(bench, CREDENTIALS, drafts, bench.kid)


def test_honest_drafts_of_every_kind_are_signed(bench: Bench) -> None:
    pairs = [*bench.pair(), *bench.pair(said(credential_id=bytes(16)))]
    cases = [
        (CREDENTIALS, KeyPurpose.CREDENTIAL, pairs),
        (LISTS, KeyPurpose.STATUS, [bench.status_jwt(), bench.status_cwt()]),
        (EVENTS, KeyPurpose.EVENT, [bench.event()]),
    ]
    for profile, purpose, drafts in cases:
        key_id = bench.keys[purpose]
        signatures = bench.desk.sign(profile, key_id, drafts, NOW)
        key = load_public_key(bench.home.public_key(key_id))
        assert [verify(key, draft, made) for draft, made in zip(drafts, signatures, strict=True)] == [True] * len(
            drafts
        )


def test_drafts_for_an_sm2_key_are_judged_and_signed_alike(tmp_path: Path) -> None:
    try:
        bench = Bench(tmp_path, Algorithm.SM2)
        bench.home.sign(bench.kid, [b""])
    except EcardError as error:
        require(error.code != "algorithm_unavailable", "SM2", "apt-get install libssl3, or pip install 'ecard[sm]'")
        raise
    device = said(device_algorithm=Algorithm.SM2, device_key=bench.home.public_key(bench.kid))
    assert len(bench.desk.sign(CREDENTIALS, bench.kid, bench.pair() + bench.pair(device), NOW)) == 4
    assert (
        len(bench.desk.sign(LISTS, bench.keys[KeyPurpose.STATUS], [bench.status_jwt(), bench.status_cwt()], NOW)) == 2
    )
    assert len(bench.desk.sign(EVENTS, bench.keys[KeyPurpose.EVENT], [bench.event()], NOW)) == 1
    compact = cwt.draft(CREDENTIAL, bytes.fromhex(bench.kid), Algorithm.ES256).signing_input
    assert refused_pair(bench, [compact, bench.pair()[1]]) == "algorithm"


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("issuer", {"issuer": "https://other.example", "vct": card_type("https://other.example")}),
        ("type", {"vct": "https://issuer.example/vct/driving-licence/1"}),
        ("status-list", {"status": StatusRef("https://other.example/status-lists/7", 7, 4711)}),
        ("status-list", {"status": StatusRef("https://issuer.example/status-lists/8", 7, 4711)}),
        ("status-list", {"status": StatusRef("https://issuer.example/status-lists/07", 7, 4711)}),
        ("region", {"region": "340100"}),
        ("region", {"region": "000000"}),
        ("validity", {"expires_at": T + 401 * 86_400}),
        ("clock", {"issued_at": T - 601}),
        ("clock", {"issued_at": T + 601}),
        ("test-card", {"test_card": True}),
    ],
)
def test_a_credential_outside_the_issuers_rules_is_refused(bench: Bench, rule: str, changes: dict[str, Any]) -> None:
    assert refused_pair(bench, bench.pair(said(**changes))) == rule


@pytest.mark.parametrize(
    "changes",
    [
        {"issued_at": T + 1},
        {"expires_at": T + 86_400},
        {"device_key": POINT[:33] + bytes(31) + bytes([POINT[64] ^ 1])},
        {"device_key": b"\x04" + bytes(31) + b"\x01" + POINT[33:]},
        {"status": StatusRef(CREDENTIAL.status.uri, 7, 4712)},
        {"assurance": ChipAssurance.DECLARED},
        {"region": "330107"},
        {"holder_proof": HolderProof.PIN},
        {"device_algorithm": Algorithm.SM2},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_pair_that_does_not_say_the_same_is_refused(bench: Bench, changes: dict[str, Any]) -> None:
    assert refused_pair(bench, bench.pair(CREDENTIAL, said(**changes))) == "pair"


def test_the_mark_of_a_test_card_must_be_in_both_formats(bench: Bench) -> None:
    assert refused_pair(bench, bench.pair(said(test_card=True), CREDENTIAL)) == "pair"


def test_a_test_issuer_signs_marked_test_cards_and_nothing_else(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rules=replace(RULES, test=True))
    assert len(bench.desk.sign(CREDENTIALS, bench.kid, bench.pair(said(test_card=True)), NOW)) == 2
    assert refused_pair(bench, bench.pair()) == "test-card"


@pytest.mark.parametrize("proof", HolderProof)
def test_how_the_holder_was_proven_may_be_said(bench: Bench, proof: HolderProof) -> None:
    assert len(bench.desk.sign(CREDENTIALS, bench.kid, bench.pair(said(holder_proof=proof)), NOW)) == 2


def test_an_odd_draft_and_swapped_formats_are_refused(bench: Bench) -> None:
    compact, selective = bench.pair()
    assert refused_pair(bench, [compact]) == "pair"
    assert refused_pair(bench, [selective, compact]) == "form"
    assert refused_pair(bench, [compact, compact]) == "form"


def _open_claim(claims: dict[str, Any]) -> None:
    claims["name"] = "Somebody"


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("open-claim", _open_claim),
        ("rebuild", lambda claims: claims.update(admin=1)),
        ("rebuild", lambda claims: claims.update(nbf=T - 86_400)),
        ("rebuild", lambda claims: claims.update(aka_vcts=[])),
        ("rebuild", lambda claims: claims.update(iss=claims.pop("iss"))),  # another order of the same
        ("rebuild", lambda claims: claims["status"].update(extra=1)),
        ("rebuild", lambda claims: claims["cnf"]["jwk"].update(kid="1")),
        ("digests", lambda claims: claims.update(_sd=[*claims["_sd"], claims["_sd"][0]])),
        ("digests", lambda claims: claims.update(_sd=sorted(claims["_sd"], reverse=True))),
        ("digests", lambda claims: claims.update(_sd=["x"])),
        ("digests", lambda claims: claims.update(_sd=["name: Somebody" + 29 * "x"])),
        ("digests", lambda claims: claims.update(_sd=[f"{n:043d}" for n in range(40)])),
        ("digests", lambda claims: claims.update(_sd=[{"name": "x"}])),
        ("rebuild", lambda claims: claims.update(_sd_alg="sha-512")),
        ("form", lambda claims: claims.update(iat=float(T))),
        ("form", lambda claims: claims.update(iat=True)),
        ("form", lambda claims: claims["status"]["status_list"].update(idx=True)),
        ("form", lambda claims: claims.pop("card_issuing_region")),
        ("form", lambda claims: claims["cnf"]["jwk"].update(d="AAAA")),
        ("form", lambda claims: claims.update(chip_assurance="perfect")),
    ],
)
def test_an_sd_jwt_that_differs_in_anything_is_refused(
    bench: Bench, rule: str, change: Callable[[dict[str, Any]], None]
) -> None:
    compact, selective = bench.pair()
    assert refused_pair(bench, [compact, altered(selective, change)]) == rule


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("key", lambda header: header.update(kid="00000000")),
        ("algorithm", lambda header: header.update(alg="SM2")),
        ("form", lambda header: header.update(alg="none")),
        ("form", lambda header: header.update(typ="JWT")),
        ("form", lambda header: header.update(jwk={})),
        ("form", lambda header: header.update(x5c=["AA=="])),
        ("rebuild", lambda header: header.update(alg=header.pop("alg"))),
    ],
)
def test_another_header_is_refused(bench: Bench, rule: str, change: Callable[[dict[str, Any]], None]) -> None:
    compact, selective = bench.pair()
    assert refused_pair(bench, [compact, altered(selective, change, part=0)]) == rule


def test_white_space_escapes_and_repeated_members_are_refused(bench: Bench) -> None:
    compact, selective = bench.pair()
    head, _, body = selective.partition(b".")
    text = jose.b64url_decode(body.decode())
    for other in (
        text.replace(b'":', b'": ', 1),
        text.replace(b"issuer", b"\\u0069ssuer", 1),
        text[:-1] + b',"iss":"https://issuer.example"}',
    ):
        draft = head + b"." + jose.b64url_encode(other).encode()
        assert refused_pair(bench, [compact, draft]) in {"rebuild", "form"}


def test_no_changed_byte_is_ever_signed(bench: Bench) -> None:
    """Every draft of every kind, with bytes changed, cut or added anywhere: refused, or what this house would write."""
    chance = random.Random(20_261_124)  # noqa: S311 - to be repeated
    compact, selective = bench.pair()
    kinds = [
        (CREDENTIALS, KeyPurpose.CREDENTIAL, 0, [compact, selective]),
        (CREDENTIALS, KeyPurpose.CREDENTIAL, 1, [compact, selective]),
        (LISTS, KeyPurpose.STATUS, 0, [bench.status_jwt()]),
        (LISTS, KeyPurpose.STATUS, 0, [bench.status_cwt()]),
        (EVENTS, KeyPurpose.EVENT, 0, [bench.event()]),
    ]
    signed, refusals = 0, set()
    for profile, purpose, place, drafts in kinds:
        for _ in range(60):
            draft = bytearray(drafts[place])
            at = chance.randrange(len(draft))
            match chance.randrange(3):
                case 0:
                    draft[at] ^= 1 << chance.randrange(8)
                case 1:
                    del draft[at]
                case _:
                    draft.insert(at, chance.randrange(256))
            tried = [*drafts[:place], bytes(draft), *drafts[place + 1 :]]
            try:
                bench.desk.sign(profile, bench.keys[purpose], tried, NOW)
            except InvalidInput as error:
                refusals.add(error.code)
                continue
            signed += 1  # another number or digest in its place: still a document of this house, within the rules
    assert refusals == {"draft_refused"}
    assert signed < 60


def test_a_cwt_with_another_key_or_purpose_or_kind_is_refused(bench: Bench) -> None:
    compact, selective = bench.pair()
    other = cwt.draft(CREDENTIAL, b"\0\0\0\0").signing_input
    assert refused_pair(bench, [other, selective]) == "key"
    structure = cbor.decode(compact)
    assert isinstance(structure, list)
    unbound = cose.signing_input(structure[1], structure[3], b"")
    assert refused_pair(bench, [unbound, selective]) == "form"
    assert refusal(bench, CREDENTIALS, [compact, selective], bench.keys[KeyPurpose.STATUS]) == "purpose"
    assert refusal(bench, EVENTS, [bench.event()], bench.kid) == "purpose"


@pytest.mark.parametrize("form", ["status_jwt", "status_cwt"])
@pytest.mark.parametrize(
    ("rule", "about"),
    [
        ("status-list", {"uri": "https://other.example/status-lists/7"}),
        ("status-list", {"uri": "https://issuer.example/status-lists/07"}),
        ("status-list", {"uri": "https://issuer.example/status-lists/"}),
        ("clock", {"issued_at": T - 601}),
        ("validity", {"life": 2 * 86_400 + 1}),
        ("validity", {"ttl": 2 * 86_400 + 1}),
    ],
)
def test_a_status_list_outside_the_rules_is_refused(bench: Bench, form: str, rule: str, about: dict[str, Any]) -> None:
    draft = getattr(bench, form)(**about)
    assert refusal(bench, LISTS, [draft], bench.keys[KeyPurpose.STATUS]) == rule


def test_a_status_list_in_another_form_is_refused(bench: Bench) -> None:
    kid = bench.keys[KeyPurpose.STATUS]
    draft = bench.status_jwt()
    changes: list[Callable[[dict[str, Any]], object]] = [
        lambda claims: claims.update(nbf=T),
        lambda claims: claims["status_list"].update(aggregation_uri="https://x.example"),
        lambda claims: claims.update(sub=claims.pop("sub")),
    ]
    for change in changes:
        assert refusal(bench, LISTS, [altered(draft, change)], kid) == "rebuild"
    assert refusal(bench, LISTS, [altered(draft, lambda claims: claims.pop("ttl"))], kid) == "validity"
    assert refusal(bench, LISTS, [altered(draft, lambda head: head.update(kid="0"), part=0)], kid) == "key"

    def garble(claims: dict[str, Any]) -> None:
        claims["status_list"]["lst"] = jose.b64url_encode(b"\x78\x9cgarbage")

    bomb = altered(draft, garble)
    assert refusal(bench, LISTS, [bomb], kid) == "form"


@pytest.mark.parametrize(
    "body",
    [
        feed.StatusChanged(EcardStatus.INVALID, "https://issuer.example/status-lists/7", 12, CardChange.CANCEL, 4),
        feed.TrustListPublished(9),
        feed.FeedBeat(T),
        feed.OtherEvent("nothing-public"),
        feed.KeyCompromised("0a0b0c0d", KeyPurpose.STATUS, bytes(32), None),
        feed.KeyCompromised("0a0b0c0d", KeyPurpose.CREDENTIAL, bytes(32), T - 3600),
    ],
    ids=["status-changed", "trust-list-published", "feed-beat", "nothing-public", "compromised", "compromised-since"],
)
def test_the_feeds_events_are_signed_as_the_feed_writes_them(bench: Bench, body: feed.EventBody) -> None:
    assert bench.desk.sign(EVENTS, bench.keys[KeyPurpose.EVENT], [bench.event(body)], NOW)


def test_an_issued_credential_is_announced(bench: Bench) -> None:
    drafts = bench.pair()
    compact = cwt.draft(CREDENTIAL, bytes.fromhex(bench.kid))
    data = compact.complete(bench.desk.sign(CREDENTIALS, bench.kid, drafts, NOW)[0])
    assert bench.desk.sign(EVENTS, bench.keys[KeyPurpose.EVENT], [bench.event(feed.CredentialIssued(data))], NOW)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("issuer", lambda claims: claims.update(iss="https://other.example")),
        ("clock", lambda claims: claims.update(iat=T + 700)),
        ("form", lambda claims: claims.update(jti="x")),
        ("form", lambda claims: claims["feed"].update(stream="1")),
        ("form", lambda claims: claims["feed"].update(seq=True)),
        ("form", lambda claims: claims["feed"].update(prev="...")),
        ("rebuild", lambda claims: claims["feed"].update(more=1)),
        ("rebuild", lambda claims: claims.update(aud="x")),
        ("form", lambda claims: claims.update(events={})),
        ("event", lambda claims: claims.update(events={"https://issuer.example/secevent/ecard/event-type/x": {}})),
        ("rebuild", lambda claims: claims.update(events={"feed-beat": {"at": T}})),
        ("rebuild", lambda claims: next(iter(claims["events"].values())).update(extra=1)),
        ("clock", lambda claims: next(iter(claims["events"].values())).update(at=T + 700)),
        ("form", lambda claims: next(iter(claims["events"].values())).update(at=None)),
    ],
)
def test_an_event_that_is_not_ours_is_refused(
    bench: Bench, rule: str, change: Callable[[dict[str, Any]], None]
) -> None:
    assert refusal(bench, EVENTS, [altered(bench.event(), change)], bench.keys[KeyPurpose.EVENT]) == rule


def test_an_event_about_a_foreign_list_is_refused(bench: Bench) -> None:
    body = feed.StatusChanged(EcardStatus.INVALID, "https://other.example/lists/7", 12, CardChange.CANCEL, 4)
    assert refusal(bench, EVENTS, [bench.event(body)], bench.keys[KeyPurpose.EVENT]) == "status-list"


def test_one_bad_draft_and_none_of_the_batch_is_signed(bench: Bench) -> None:
    good = bench.pair()
    bad = bench.pair(said(region="340100"))
    refused_pair(bench, [*good, *good, *bad])
    assert [entry.outcome for entry in bench.journal.entries()] == [Outcome.REFUSED]
    assert len(next(bench.journal.entries()).drafts) == 6


def test_a_longer_life_is_allowed_to_an_issuer_that_may(bench: Bench) -> None:
    longest = int(timedelta(days=400).total_seconds())
    assert bench.desk.sign(CREDENTIALS, bench.kid, bench.pair(said(expires_at=T + longest)), NOW)


def test_the_limit_of_a_status_token_is_the_desks(bench: Bench) -> None:
    draft = b"\x84jSignature1" + bytes(status_token.LIMIT)
    assert refusal(bench, LISTS, [draft], bench.keys[KeyPurpose.STATUS]) == "form"
