"""The trust list: what it takes to be believed, and each way to be refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import CheckFailed, EcardError, InvalidInput, Unavailable
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyRecord, KeyState
from ecard_keys.trust import root_signature
from ecard_keys.trust.content import canonical_json, decode
from ecard_keys.trust.root import RootHolder, TrustRoot
from ecard_keys.trust.trust import Trust
from ecard_keys.trust.trust_list import (
    MAX_DOCUMENT,
    IssuerEntry,
    TrustList,
    TrustListDraft,
    assemble,
    draft,
    open_trust_list,
)
from tests.root_holders import Holder, pairs, root_of, without_ml_dsa
from tests.twins import TWIN_KID, twins

T = 1_800_000_000
ROOTS = [Holder() for _ in range(3)]
ROOT = root_of(ROOTS)
KEY = EphemeralSigner()
OTHER, THIRD = twins()  # of one kid
RECORDS = (
    KEY.record(KeyPurpose.CREDENTIAL, T),
    KeyRecord(TWIN_KID, KeyPurpose.STATUS, KeyState.VERIFY_ONLY, "ES256", OTHER.public, T, T + 5),
    KeyRecord(TWIN_KID, KeyPurpose.STATUS, KeyState.COMPROMISED, "ES256", THIRD.public, T, None, T + 7),
)
FIRST = TrustList(
    version=1,
    issued_at=T,
    expires_at=T + 86_400,
    previous=None,
    issuers=(IssuerEntry("https://a.example", "https://s.example/status-lists/{list}", ("330100",), RECORDS),),
)


def signed(content: TrustList | bytes, *signers: Holder) -> bytes:
    unsigned = TrustListDraft(content) if isinstance(content, bytes) else draft(content)
    return assemble(unsigned, pairs(unsigned, signers))


def halves(content: TrustList, *parts: tuple[Holder, int]) -> bytes:
    """A document with single signatures: 0 is a holder's ES256, 1 its ML-DSA-65."""
    outer = json.loads(signed(content, *{holder: None for holder, _ in parts}))
    kept = []
    for holder, half in parts:
        kid = holder.public.kid((Algorithm.ES256, Algorithm.ML_DSA_65)[half])
        kept += [entry for entry in outer["signatures"] if kid in jose.b64url_decode(entry["protected"]).decode()]
    return json.dumps(outer | {"signatures": kept}).encode()


def altered(**members: object) -> bytes:
    """The payload of FIRST with members replaced, or taken out where None."""
    content = json.loads(draft(FIRST).payload) | members
    return canonical_json({name: value for name, value in content.items() if value is not None})


def refusal(document: bytes, *, now: int = T, known: TrustList | None = None, root: TrustRoot = ROOT) -> str:
    with pytest.raises(CheckFailed) as caught:
        open_trust_list(document, root, now=now, known=known)
    return caught.value.code


def successor(of: TrustList, **changes: object) -> TrustList:
    following = replace(of, version=of.version + 1, issued_at=of.issued_at + 1, previous=of.digest, signed_digest=None)
    return replace(following, **changes)  # type: ignore[arg-type]


GOOD = signed(FIRST, *ROOTS[:2])


def test_what_was_written_is_read_back_and_believed() -> None:
    opened = open_trust_list(GOOD, ROOT, now=T)
    assert opened == FIRST
    assert opened.digest == FIRST.digest == draft(FIRST).digest
    assert opened.skipped == 0
    assert [key.record for key in Trust.of(opened).candidates(TWIN_KID, KeyPurpose.STATUS)] == list(RECORDS[1:])


def test_another_jose_library_reads_the_same_document() -> None:
    for root in ROOTS[:2]:
        other = JWS()
        other.deserialize(GOOD.decode())
        other.verify(JWK(**root.public.jwk(Algorithm.ES256)))
        assert other.payload == draft(FIRST).payload


@pytest.mark.parametrize("signers", [ROOTS[:2], ROOTS[1:], ROOTS[::2], ROOTS])
def test_any_threshold_of_roots_is_enough_and_the_digest_stays_the_same(signers: list[Holder]) -> None:
    assert open_trust_list(signed(FIRST, *signers), ROOT, now=T).digest == FIRST.digest


def test_too_few_roots_are_refused() -> None:
    stranger = Holder()
    assert refusal(signed(FIRST, ROOTS[0])) == "trust_undersigned"
    assert refusal(signed(FIRST, ROOTS[0], stranger)) == "trust_undersigned"
    assert refusal(signed(FIRST, *ROOTS), root=root_of([stranger], 1)) == "trust_undersigned"


def test_one_root_signing_twice_counts_once() -> None:
    outer = json.loads(signed(FIRST, ROOTS[0]))
    again = json.loads(signed(FIRST, ROOTS[0]))  # ECDSA: another signature by the same key
    outer["signatures"] += again["signatures"]
    assert outer["signatures"][0] != outer["signatures"][2]
    assert refusal(json.dumps(outer).encode()) == "trust_undersigned"


def test_signatures_of_other_algorithms_or_headers_count_for_nothing_and_harm_nothing() -> None:
    outer = json.loads(GOOD)
    foreign = {"alg": "ML-DSA-65", "kid": "00000000", "typ": "ecard-trust+jwt"}
    outer["signatures"].append({"protected": jose.b64url_encode(canonical_json(foreign)), "signature": "A" * 4412})
    assert open_trust_list(json.dumps(outer).encode(), ROOT, now=T) == FIRST
    for header in (
        {"alg": "none", "kid": ROOTS[0].classical.key_id, "typ": "ecard-trust+jwt"},
        {"alg": "ES256", "kid": ROOTS[0].classical.key_id, "typ": "JWT"},
        {"alg": "ES256", "kid": ROOTS[0].classical.key_id, "typ": "ecard-root+jwt"},
        {"alg": "ES256", "kid": ROOTS[0].classical.key_id, "typ": "ecard-trust+jwt", "crit": ["b64"]},
    ):
        protected = jose.b64url_encode(canonical_json(header))
        key = ROOTS[0].classical
        made = key.sign(key.key_id, [f"{protected}.{outer['payload']}".encode()])[0]
        entries = [entry for entry in outer["signatures"] if entry["protected"] != _es256_header(ROOTS[0])]
        assert len(entries) == 4
        entries.append({"protected": protected, "signature": jose.b64url_encode(made)})
        spoiled = dict(outer, signatures=entries)
        assert refusal(json.dumps(spoiled).encode()) == "trust_undersigned"


def _es256_header(holder: Holder) -> str:
    header = {"alg": "ES256", "kid": holder.classical.key_id, "typ": "ecard-trust+jwt"}
    return jose.b64url_encode(canonical_json(header))


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([(0, 0), (1, 0), (2, 0)], id="all by ES256 alone"),
        pytest.param([(0, 1), (1, 1), (2, 1)], id="all by ML-DSA alone"),
        pytest.param([(0, 0), (0, 1), (1, 0), (2, 0)], id="one whole, the others by ES256"),
        pytest.param([(0, 0), (0, 1), (1, 0), (2, 1)], id="two halves of two holders"),
        pytest.param([(0, 0), (0, 1), (0, 0), (0, 1)], id="one holder twice"),
    ],
)
def test_only_a_holder_who_signed_with_both_keys_counts(parts: list[tuple[int, int]]) -> None:
    document = halves(FIRST, *((ROOTS[holder], half) for holder, half in parts))
    assert refusal(document) == "trust_undersigned"


def test_the_two_whole_holders_count_beside_a_half_one() -> None:
    parts = [(ROOTS[0], 0), (ROOTS[0], 1), (ROOTS[1], 0), (ROOTS[2], 1), (ROOTS[2], 0)]
    assert open_trust_list(halves(FIRST, *parts), ROOT, now=T) == FIRST


def test_a_holder_who_signs_with_anothers_second_key_does_not_count() -> None:
    """As the thief of two holders' different halves would: both signatures hold, each under a name of its own."""
    mixed = Holder()
    mixed.classical, mixed.quantum = ROOTS[1].classical, ROOTS[2].quantum
    mixed.public = RootHolder(ROOTS[1].public.es256, ROOTS[2].public.ml_dsa_65)
    assert refusal(signed(FIRST, ROOTS[0], mixed)) == "trust_undersigned"


def test_a_machine_without_ml_dsa_believes_nothing_and_refuses_nothing_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    half, stranger = halves(FIRST, (ROOTS[0], 0)), root_of([Holder()], 1)
    monkeypatch.setattr(root_signature, "load_public_key", without_ml_dsa)
    with pytest.raises(Unavailable) as caught:
        open_trust_list(GOOD, ROOT, now=T)
    assert caught.value.code == "algorithm_unavailable"
    assert refusal(half, root=stranger) == "trust_undersigned"


def test_a_list_under_another_root_version_is_refused_and_says_which_way() -> None:
    newer = replace(FIRST, root_version=2)
    assert refusal(signed(newer, *ROOTS)) == "trust_root_outdated"
    stranger = Holder()
    assert refusal(signed(newer, stranger)) == "trust_root_outdated"  # unproven, and no more than a hint
    second = replace(ROOT, version=2, previous=ROOT.digest)
    assert refusal(GOOD, root=second) == "trust_rolled_back"
    assert open_trust_list(signed(newer, *ROOTS), second, now=T) == newer


def test_a_list_under_an_older_root_than_the_known_list_is_a_rollback() -> None:
    known = replace(FIRST, root_version=2)
    later = successor(known, root_version=1)
    assert refusal(signed(later, *ROOTS), now=T + 1, known=known) == "trust_rolled_back"


def test_a_changed_payload_is_refused() -> None:
    outer = json.loads(GOOD)
    outer["payload"] = jose.b64url_encode(altered(version=2, previous=FIRST.digest))
    assert refusal(json.dumps(outer).encode()) == "trust_undersigned"


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
@settings(max_examples=150, deadline=None)
def test_no_changed_byte_is_believed(place: int, change: int) -> None:
    spoiled = bytearray(GOOD)
    spoiled[place] ^= change
    with pytest.raises(CheckFailed):
        open_trust_list(bytes(spoiled), ROOT, now=T)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=50).map(str.encode)))
@settings(max_examples=100, deadline=None)
def test_garbage_is_refused_with_our_error(garbage: bytes) -> None:
    assert refusal(garbage) == "trust_malformed"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["version", "iat", "exp", "issuers", "root", "previous"]),
    JSON,
)
@settings(max_examples=100, deadline=None)
def test_odd_content_never_brings_a_foreign_error(member: str, value: object) -> None:
    try:
        decode(altered(**{member: value}), limit=MAX_DOCUMENT)
    except EcardError:
        pass


@given(st.sampled_from(["kid", "alg", "purpose", "state", "nbf", "x", "y", "kty", "crv", "retired_from"]), JSON)
@settings(max_examples=100, deadline=None)
def test_one_odd_key_never_hides_the_others(member: str, value: object) -> None:
    content = json.loads(draft(FIRST).payload)
    content["issuers"][0]["keys"][1][member] = value
    opened = decode(canonical_json(content), limit=MAX_DOCUMENT)
    (entry,) = opened.issuers
    assert entry.keys[0] == RECORDS[0]
    assert entry.keys[-1] == RECORDS[2]
    assert len(entry.keys) + opened.skipped == 3


def test_keys_and_issuers_of_a_later_version_are_skipped_and_counted() -> None:
    content = json.loads(draft(FIRST).payload)
    first = content["issuers"][0]["keys"][0]
    content["issuers"][0]["keys"] += [
        dict(first, purpose="time-stamp"),
        dict(first, state="suspended"),
        dict(first, alg="SM2", crv="curveSM2"),
        {"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA"},
        dict(first, d="AAAA"),
        7,
    ]
    content["issuers"] += [{"iss": "https://b.example"}, None, dict(content["issuers"][0], iss="has space")]
    content["later"] = {"unknown": "member"}
    opened = open_trust_list(signed(canonical_json(content), *ROOTS), ROOT, now=T)
    assert opened.issuers == FIRST.issuers
    assert opened.skipped == 9
    with pytest.raises(InvalidInput):
        draft(opened)  # written again, the skipped ones would be lost


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        json.dumps(json.loads(draft(FIRST).payload)).encode(),  # not canonical
        altered(version=None),
        altered(version=0),
        altered(version="1"),
        altered(version=1.0),
        altered(version=True),
        altered(version=2),  # without predecessor
        altered(previous=FIRST.digest),  # a first list with one
        altered(version=2, previous="AAAA"),
        altered(version=2, previous=7),
        altered(exp=T),
        altered(exp=2**60),
        altered(iat=-1),
        altered(root=0),
        altered(root=None),
        altered(issuers={}),
        altered(issuers=json.loads(draft(FIRST).payload)["issuers"] * 2),
        altered(issuers=[0] * 1025),
    ],
)
def test_a_payload_that_does_not_hold_is_refused_even_when_signed(payload: bytes) -> None:
    assert refusal(signed(payload, *ROOTS)) == "trust_malformed"


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"payload": 7},
        {"signatures": {}},
        {"signatures": [7]},
        {"signatures": [{"protected": "e30", "signature": 7}]},
        {"signatures": [{"protected": "e30", "signature": "AA", "header": {}}]},
        {"signatures": [{"protected": "e30", "signature": "AA"}] * 65},
    ],
)
def test_another_outer_form_is_refused(change: dict[str, object]) -> None:
    assert refusal(json.dumps(json.loads(GOOD) | change).encode()) == "trust_malformed"


def test_an_oversized_document_is_refused() -> None:
    assert refusal(GOOD + b" " * MAX_DOCUMENT) == "trust_malformed"


def test_time_is_judged_with_a_minute_of_skew() -> None:
    assert open_trust_list(GOOD, ROOT, now=T - 60)
    assert refusal(GOOD, now=T - 61) == "trust_not_yet_valid"
    assert open_trust_list(GOOD, ROOT, now=T + 86_400 + 59)
    assert refusal(GOOD, now=T + 86_400 + 60) == "trust_expired"


def test_a_successor_is_believed_and_its_predecessor_no_more() -> None:
    known = open_trust_list(GOOD, ROOT, now=T)
    second = open_trust_list(signed(successor(known), *ROOTS), ROOT, now=T + 1, known=known)
    assert second.version == 2
    assert refusal(GOOD, now=T + 1, known=second) == "trust_rolled_back"


def test_an_older_version_is_a_rollback_whatever_its_date() -> None:
    known = open_trust_list(GOOD, ROOT, now=T)
    second = successor(known)
    assert refusal(signed(replace(FIRST, issued_at=T + 5), *ROOTS), now=T + 5, known=second) == "trust_rolled_back"


def test_the_known_list_again_is_believed_whoever_signed_it() -> None:
    known = open_trust_list(GOOD, ROOT, now=T)
    assert open_trust_list(signed(FIRST, *ROOTS), ROOT, now=T, known=known) == known


def test_other_content_under_the_same_version_is_refused() -> None:
    known = open_trust_list(GOOD, ROOT, now=T)
    fork = replace(FIRST, expires_at=FIRST.expires_at + 1)
    assert refusal(signed(fork, *ROOTS), known=known) == "trust_unlinked"


def test_a_successor_of_another_list_is_refused() -> None:
    known = open_trust_list(GOOD, ROOT, now=T)
    other = replace(FIRST, expires_at=FIRST.expires_at + 1)
    assert refusal(signed(successor(other), *ROOTS), now=T + 1, known=known) == "trust_unlinked"


def test_a_higher_version_with_an_older_date_is_a_rollback() -> None:
    known = open_trust_list(GOOD, ROOT, now=T)
    older = successor(known, issued_at=T - 1)
    assert refusal(signed(older, *ROOTS), known=known) == "trust_rolled_back"


def test_a_client_that_was_away_may_skip_versions() -> None:
    known = open_trust_list(GOOD, ROOT, now=T)
    third = successor(successor(known))
    assert open_trust_list(signed(third, *ROOTS), ROOT, now=T + 2, known=known).version == 3


def test_a_wrong_signature_is_not_assembled() -> None:
    unsigned = draft(FIRST)
    right = ROOTS[0].sign(unsigned.signing_inputs(ROOTS[0].public))
    wrong = ROOTS[0].sign(unsigned.signing_inputs(ROOTS[1].public))
    for pair in ((wrong[0], right[1]), (right[0], wrong[1]), wrong, (b"", right[1]), (right[0], b"")):
        with pytest.raises(InvalidInput) as caught:
            assemble(unsigned, {ROOTS[0].public: pair})
        assert caught.value.code == "bad_root_signature"
    with pytest.raises(InvalidInput):
        assemble(unsigned, {})


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": ""},
        {"issuer": "has space"},
        {"issuer": "a" * 513},
        {"status_uri": "https://s.example/lists/1"},
        {"status_uri": "https://s.example/{list}/{list}"},
        {"status_uri": "file:///etc/{list}"},
        {"regions": ("33010",)},
        {"regions": ("33010a",)},
        {"keys": RECORDS * 22},
    ],
)
def test_an_issuer_out_of_bounds_cannot_be_made(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        replace(FIRST.issuers[0], **change)  # type: ignore[arg-type]
    assert caught.value.code == "bad_issuer_entry"
