"""The component's core against our own Python: the same bytes from the same parts, and signatures that we accept."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card import device_proof, jose
from ecard_card.errors import InvalidInput
from ecard_keys.key import P256_ORDER
from ecard_qr import checked32, frame, payload
from ecard_qr.challenge import PREFIX, Challenge, parse_challenge
from tests.qr.test_challenge import challenges
from tests.require import needs_node

ROOT = Path(__file__).parents[3]
VECTORS = json.loads((ROOT / "tests/vectors/qr/code.json").read_text(encoding="utf-8"))
CREDENTIAL = bytes.fromhex(next(row["credential"] for row in VECTORS if row["name"] == "EC1"))
CREDENTIAL_ID = bytes(range(16, 32))
NONCE = bytes(range(0xA0, 0xA8))
TIMES = (0, 23, 24, 255, 256, 65535, 65536, 1_790_000_000, 2**32 - 1, 2**32, 253402300799)


def ask(*requests: dict[str, Any]) -> list[Any]:
    """What `tests/node/core.mjs` answers to each request."""
    command = [needs_node(), str(ROOT / "tests/node/core.mjs")]
    done = subprocess.run(command, input=json.dumps(requests), capture_output=True, text=True, timeout=60, check=True)
    answers = json.loads(done.stdout)
    assert len(answers) == len(requests)
    return list(answers)


def test_texts_of_bytes_are_those_of_the_standards() -> None:
    rows = json.loads((ROOT / "tests/vectors/qr/base45.json").read_text(encoding="utf-8"))
    good = [row for row in rows if "hex" in row]
    assert ask(*({"call": "base45", "bytes": row["hex"]} for row in good)) == [row["text"] for row in good]
    every = [bytes(range(n)) + bytes([255] * n) for n in range(6)]
    for data, (text, back) in zip(every, ask(*({"call": "base64url", "bytes": d.hex()} for d in every)), strict=True):
        assert (text, back) == (jose.b64url_encode(data), data.hex())
    assert ask({"call": "crc16", "bytes": b"123456789".hex()}) == ["29b1"]


def test_answers_to_challenges_are_laid_out_as_by_our_own_code() -> None:
    signature, digest = bytes(range(64)), bytes(range(16))
    common = {"credential": CREDENTIAL.hex(), "credentialId": CREDENTIAL_ID.hex(), "nonce": NONCE.hex()}
    rest = {"challenge": digest.hex(), "audience": "desk-7", "signature": signature.hex()}
    asked = [{"call": "layout", **common, **rest, "issuedAt": time} for time in TIMES]
    for time, answer in zip(TIMES, ask(*asked), strict=True):
        offline = frame.draft_offline(CREDENTIAL, time, NONCE, challenge=digest)
        online = frame.draft_online(CREDENTIAL_ID, time, NONCE, challenge=digest)
        assert answer["signed"] == [offline.signing_input.hex(), online.signing_input.hex()]
        assert answer["texts"] == [
            payload.to_text(offline.complete(signature), payload.Form.OFFLINE),
            payload.to_text(online.complete(signature), payload.Form.ONLINE),
        ]


def test_challenges_are_read_as_by_our_own_code() -> None:
    rows = json.loads((ROOT / "tests/vectors/qr/challenge.json").read_text(encoding="utf-8"))
    for row, read in zip(rows, ask(*({"call": "challenge", "text": row["text"]} for row in rows)), strict=True):
        if "expect" in row:
            assert read == {"refused": row["expect"]}, row["name"]
            continue
        for member in ("counter", "purpose", "nonce", "frame", "digest"):
            assert read[member] == row[member]
        assert (read["name"], read["expiresAt"], read["payment"]) == (
            row["counter_name"],
            row["expires_at"],
            row["transaction"],
        )


@settings(max_examples=1, deadline=None)
@given(st.lists(challenges, min_size=60, max_size=60), st.randoms(use_true_random=False))
def test_changed_challenges_are_refused_by_both_or_read_by_both(asked: list[Challenge], random: Random) -> None:
    texts = []
    for one in asked:
        data = bytearray(one.frame)
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        texts += [one.text, PREFIX + checked32.encode(bytes(data))]
    for text, read in zip(texts, ask(*({"call": "challenge", "text": text} for text in texts)), strict=True):
        assert (read.get("refused"), read.get("digest")) == ours_of(text), text


def ours_of(text: str) -> tuple[str | None, str | None]:
    """The code of our own refusal, or the digest."""
    try:
        return None, parse_challenge(text).digest.hex()
    except InvalidInput as error:
        return error.code, None


@pytest.mark.parametrize("audience", [None, "desk-7", "a" * 23, "a" * 24, "a" * 64])
def test_frames_are_laid_out_as_by_our_own_code(audience: str | None) -> None:
    signature = bytes(range(64))
    common = {"credential": CREDENTIAL.hex(), "credentialId": CREDENTIAL_ID.hex(), "nonce": NONCE.hex()}
    asked = [
        {"call": "layout", **common, "issuedAt": time, "audience": audience, "signature": signature.hex()}
        for time in TIMES
    ]
    for time, answer in zip(TIMES, ask(*asked), strict=True):
        offline = frame.draft_offline(CREDENTIAL, time, NONCE, audience)
        online = frame.draft_online(CREDENTIAL_ID, time, NONCE)
        assert answer["signed"] == [offline.signing_input.hex(), online.signing_input.hex()]
        assert answer["texts"] == [
            payload.to_text(offline.complete(signature), payload.Form.OFFLINE),
            payload.to_text(online.complete(signature), payload.Form.ONLINE),
        ]


def test_codes_and_proofs_by_webcrypto_verify_and_the_key_stays_where_it_is() -> None:
    asked = {"credential": CREDENTIAL.hex(), "credentialId": CREDENTIAL_ID.hex(), "nonce": NONCE.hex()}
    issuer, challenge = "https://issuer.example", "ab" * 16
    (answer,) = ask(
        {"call": "signed", **asked, "issuedAt": 1_790_000_000, "issuer": issuer, "challenge": challenge, "count": 20}
    )
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), jose.parse_public_jwk(answer["jwk"]))
    proof = device_proof.parse(answer["proof"], issuer=issuer, enrolment_id=challenge, now=1_790_000_000)
    for shown in [*map(payload.parse, answer["made"]), proof]:
        r, s = (int.from_bytes(half, "big") for half in (shown.signature[:32], shown.signature[32:]))
        public.verify(encode_dss_signature(r, s), shown.signing_input, ec.ECDSA(hashes.SHA256()))
        assert isinstance(shown, jose.CompactJws) or s <= P256_ORDER // 2
    assert answer["exported"].startswith("InvalidAccess")


def test_of_two_signatures_the_one_with_the_smaller_s_is_taken() -> None:
    r, small = (7).to_bytes(32, "big"), 12345
    for s in (small, P256_ORDER - small):
        assert ask({"call": "lowS", "signature": (r + s.to_bytes(32, "big")).hex()}) == [
            (r + small.to_bytes(32, "big")).hex()
        ]
