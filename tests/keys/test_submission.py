"""An issuer's submission: believed only with a signature of every key that may sign."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ecard_card import jose
from ecard_card.errors import CheckFailed, EcardError, InvalidInput
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyRecord, KeyState
from ecard_keys.trust.content import IssuerEntry, canonical_json
from ecard_keys.trust.submission import LIFE, make_submission, read_submission

T = 1_800_000_000
SIGNERS = {signer.key_id: signer for signer in (EphemeralSigner() for _ in range(3))}
ACTIVE, NEXT, STOLEN = (signer.record(KeyPurpose.CREDENTIAL, T) for signer in SIGNERS.values())
ENTRY = IssuerEntry(
    "https://b.example",
    "https://b.example/lists/{list}",
    ("330000",),
    (ACTIVE, replace(NEXT, state=KeyState.NEXT), replace(STOLEN, state=KeyState.COMPROMISED)),
)


def sign(record: KeyRecord, message: bytes) -> bytes:
    return SIGNERS[record.kid].sign(record.kid, [message])[0]


GOOD = make_submission(ENTRY, sign, T)


def refusal(data: bytes, now: int = T) -> str:
    with pytest.raises(EcardError) as caught:
        read_submission(data, now)
    return caught.value.code


def test_a_submission_is_read_as_it_was_made() -> None:
    assert read_submission(GOOD, T + LIFE - 1) == ENTRY
    assert len(json.loads(GOOD)["signatures"]) == 2, "a stolen key proves nothing"


@pytest.mark.parametrize("missing", [0, 1])
def test_every_key_that_may_sign_has_signed(missing: int) -> None:
    outer = json.loads(GOOD)
    del outer["signatures"][missing]
    assert refusal(json.dumps(outer).encode()) == "submission_unproven"


def test_one_key_signs_for_no_other() -> None:
    def always_first(record: KeyRecord, message: bytes) -> bytes:
        return sign(ACTIVE, message)

    with pytest.raises(CheckFailed, match="submission_unproven"):
        make_submission(ENTRY, always_first, T)


def test_a_changed_entry_is_not_believed() -> None:
    outer = json.loads(GOOD)
    content = json.loads(jose.b64url_decode(outer["payload"]))
    content["issuers"][0]["regions"] = ["000000"]
    outer["payload"] = jose.b64url_encode(canonical_json(content))
    assert refusal(json.dumps(outer).encode()) == "submission_unproven"


@pytest.mark.parametrize("now", [T - 61, T + LIFE, T + 10 * LIFE])
def test_a_submission_has_its_time(now: int) -> None:
    assert refusal(GOOD, now) == "submission_out_of_date"


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"version": 2, "previous": jose.b64url_encode(bytes(32))},
        {"issuers": []},
        {"exp": T + LIFE + 1},
        {"root": 2},
    ],
)
def test_a_payload_of_another_form_is_refused(change: dict[str, object]) -> None:
    outer = json.loads(GOOD)
    content = json.loads(jose.b64url_decode(outer["payload"])) | change
    outer["payload"] = jose.b64url_encode(canonical_json(content))
    assert refusal(json.dumps(outer).encode()) == "bad_submission"


@pytest.mark.parametrize("garbage", [b"", b"{}", b"[]", b'{"payload":"AA","signatures":[]}', b"\xff"])
def test_garbage_is_refused_with_our_error(garbage: bytes) -> None:
    assert refusal(garbage) == "bad_submission"


def test_an_entry_without_a_key_that_may_sign_is_none() -> None:
    with pytest.raises(InvalidInput, match="bad_submission"):
        make_submission(replace(ENTRY, keys=ENTRY.keys[2:]), sign, T)
