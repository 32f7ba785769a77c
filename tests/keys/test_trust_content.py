"""Keys of a trust list on paper: both algorithms there and back, and odd ones skipped alone."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyRecord, KeyState
from ecard_keys.trust.content import IssuerEntry, TrustList, canonical_json, decode, encode

T = 1_800_000_000
CLASSIC, NATIONAL = EphemeralSigner(), EphemeralSigner(algorithm=Algorithm.SM2, user_id=b"ISSUER-1")
QUANTUM = EphemeralSigner(algorithm=Algorithm.ML_DSA_65)


def listed(*records: KeyRecord) -> TrustList:
    entry = IssuerEntry("https://a.example", "https://a.example/s/{list}", ("330100",), records)
    return TrustList(1, T, T + 1000, None, (entry,))


BOTH = listed(CLASSIC.record(KeyPurpose.CREDENTIAL, T), NATIONAL.record(KeyPurpose.CREDENTIAL, T))


def test_keys_of_both_algorithms_go_there_and_back() -> None:
    read = decode(encode(BOTH), limit=65536)
    assert read == BOTH
    assert read.skipped == 0
    classic, national = json.loads(encode(BOTH))["issuers"][0]["keys"]
    assert "user_id" not in classic
    assert (national["alg"], national["kty"], national["crv"]) == ("SM2", "EC", "SM2")
    assert national["user_id"] == "SVNTVUVSLTE"
    assert encode(read) == encode(BOTH)


def without_user_id(key: dict[str, object]) -> None:
    del key["user_id"]


def with_members(**members: object) -> Callable[[dict[str, object]], None]:
    return lambda key: key.update(members)


@pytest.mark.parametrize(
    "change",
    [
        without_user_id,
        with_members(user_id=None),
        with_members(user_id="SVNTVUVSLTE="),
        with_members(user_id="A" * 400),
        with_members(user_id=["SVNTVUVSLTE"]),
        with_members(alg="ES256"),
        with_members(crv="P-256"),
        with_members(alg="SM9"),
        with_members(d="AAAA"),
        with_members(state="generated"),
        with_members(state="destroyed"),
        with_members(state="asleep"),
        with_members(kty="AKP", alg="ML-DSA-65", pub="AAAA"),
    ],
    ids=[
        "no user id",
        "null",
        "padded",
        "too long",
        "list",
        "alg of the other",
        "curve of the other",
        "unknown alg",
        "private",
        "generated",
        "destroyed",
        "unknown state",
        "root algorithm",
    ],
)
def test_an_odd_key_is_skipped_alone(change: Callable[[dict[str, object]], None]) -> None:
    content = json.loads(encode(BOTH))
    change(content["issuers"][0]["keys"][1])
    read = decode(canonical_json(content), limit=65536)
    assert [key.public for key in read.issuers[0].keys] == [CLASSIC.public]
    assert read.skipped == 1


@pytest.mark.parametrize(
    "record",
    [
        KeyRecord(CLASSIC.key_id, KeyPurpose.EVENT, KeyState.GENERATED, "ES256", CLASSIC.public, T),
        KeyRecord(CLASSIC.key_id, KeyPurpose.EVENT, KeyState.DESTROYED, "ES256", CLASSIC.public, T),
        QUANTUM.record(KeyPurpose.TRUST),
        KeyRecord("0a1b2c3d", KeyPurpose.EVENT, KeyState.ACTIVE, "SM9", bytes(64), T),
    ],
    ids=["generated", "destroyed", "root algorithm", "unknown algorithm"],
)
def test_what_no_list_may_name_is_not_written(record: KeyRecord) -> None:
    with pytest.raises(InvalidInput) as refusal:
        encode(listed(record))
    assert refusal.value.code == "bad_trust_list"
