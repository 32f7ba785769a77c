"""Status lists and events by both algorithms: the key decides, whatever a header says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ecard_card import jose, status_token
from ecard_card.algorithm import Algorithm
from ecard_card.credential import Unsigned
from ecard_card.errors import CheckFailed, Unavailable
from ecard_card.status_list import StatusList
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyRecord
from ecard_keys.sm2 import keys as sm2
from ecard_keys.trust.trust import Trust
from ecard_verifier.feed import FeedBeat, draft_event, verify_event
from ecard_verifier.statuses import accept_status_token
from tests.world import NOW, STATUS_URI, World, seconds

AT = seconds(NOW)
OTHER = {Algorithm.ES256: Algorithm.SM2, Algorithm.SM2: Algorithm.ES256}
Draft = Callable[[EphemeralSigner, Algorithm], Unsigned]


def jwt_list(signer: EphemeralSigner, algorithm: Algorithm) -> Unsigned:
    uri = STATUS_URI.replace("{list}", "1")
    return status_token.jwt_draft(uri, StatusList(64), signer.key_id, AT, AT + 60, 60, algorithm=algorithm)


def cwt_list(signer: EphemeralSigner, algorithm: Algorithm) -> Unsigned:
    uri, kid = STATUS_URI.replace("{list}", "1"), bytes.fromhex(signer.key_id)
    return status_token.cwt_draft(uri, StatusList(64), kid, AT, AT + 60, 60, algorithm=algorithm)


def event(signer: EphemeralSigner, algorithm: Algorithm) -> Unsigned:
    return draft_event(
        FeedBeat(AT),
        issuer=World.issuer,
        kid=signer.key_id,
        event_id="beat-1",
        issued_at=AT,
        seq=0,
        previous="-",
        algorithm=algorithm,
    )


def judge(document: str | bytes, trust: Trust) -> object:
    if isinstance(document, str) and b"secevent" in jose.b64url_decode(document.split(".")[0]):
        return verify_event(document, trust, NOW)
    return accept_status_token(document, trust, NOW)


KINDS = pytest.mark.parametrize(
    ("draft", "purpose"),
    [(jwt_list, KeyPurpose.STATUS), (cwt_list, KeyPurpose.STATUS), (event, KeyPurpose.EVENT)],
    ids=["status list JWT", "status list CWT", "event"],
)


def trust_in(*records: KeyRecord) -> Trust:
    return World().trust(records)


def finished(draft: Draft, signer: EphemeralSigner, named: Algorithm) -> str | bytes:
    unsigned = draft(signer, named)
    return unsigned.complete(signer.sign(signer.key_id, [unsigned.signing_input])[0])


def refusal(document: str | bytes, trust: Trust) -> str:
    with pytest.raises(CheckFailed) as caught:
        judge(document, trust)
    return caught.value.code


@KINDS
@pytest.mark.parametrize("algorithm", list(OTHER))
def test_a_document_counts_by_the_algorithm_of_its_key_only(
    draft: Draft, purpose: KeyPurpose, algorithm: Algorithm
) -> None:
    signer = EphemeralSigner(algorithm=algorithm)
    trust = trust_in(signer.record(purpose))
    assert judge(finished(draft, signer, algorithm), trust)
    assert refusal(finished(draft, signer, OTHER[algorithm]), trust) == "bad_signature"


@KINDS
def test_a_twin_of_the_other_algorithm_under_the_same_kid_does_no_harm(draft: Draft, purpose: KeyPurpose) -> None:
    signer = EphemeralSigner(algorithm=Algorithm.SM2)
    twin = EphemeralSigner(signer.key_id, Algorithm.ES256)
    trust = trust_in(twin.record(purpose), signer.record(purpose))
    assert judge(finished(draft, signer, Algorithm.SM2), trust)
    assert judge(finished(draft, twin, Algorithm.ES256), trust)
    assert refusal(finished(draft, twin, Algorithm.SM2), trust) == "bad_signature"


@KINDS
def test_only_the_one_purpose_counts(draft: Draft, purpose: KeyPurpose) -> None:
    signer = EphemeralSigner(algorithm=Algorithm.SM2)
    document = finished(draft, signer, Algorithm.SM2)
    for other in KeyPurpose:
        if other is not purpose:
            assert refusal(document, trust_in(signer.record(other))) == "unknown_key"


@KINDS
def test_where_sm2_cannot_be_computed_it_is_our_fault(
    draft: Draft, purpose: KeyPurpose, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer, classic = EphemeralSigner(algorithm=Algorithm.SM2), EphemeralSigner()
    document, other = finished(draft, signer, Algorithm.SM2), finished(draft, classic, Algorithm.ES256)
    monkeypatch.setattr(sm2, "_found", lambda: None)
    trust = trust_in(signer.record(purpose), classic.record(purpose))
    with pytest.raises(Unavailable) as caught:
        judge(document, trust)
    assert caught.value.code == "algorithm_unavailable"
    assert judge(other, trust)
