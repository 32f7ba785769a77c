"""The page's check and ours judge the same codes alike: outcome, reason, and all that is said besides.

Thousands of codes: honest ones, texts as bad scanners send them, bytes bent before and after signing, every rule of
keys and times at its edge. SM2 is taken away from our side too, as no browser computes it.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ecard_card import cbor, cwt, jose
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.credential import Credential
from ecard_card.status import EcardStatus
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import P256_ORDER, KeyPurpose, KeyRecord, KeyState
from ecard_keys.sm2 import keys as sm2
from ecard_keys.trust.trust import DeniedKey
from ecard_qr import frame, payload
from ecard_qr.payload import Form
from ecard_sdk.device import DeviceKey
from ecard_verifier.bundle import Bundle, make_bundle, open_bundle
from ecard_verifier.check import check
from ecard_verifier.policy import Policy
from ecard_verifier.verdict import Verdict
from tests.twins import twins
from tests.verifier.offline.node import Request, ask, b64
from tests.world import LIST_SIZE, NOW, REGION, World, seconds

SM2_KEY = EphemeralSigner(algorithm=Algorithm.SM2) if sm2.available() else None
ROUNDS = 4000


@dataclass
class House:
    """A world whose trust list has keys in every state, and its bundle."""

    world: World
    bundle: Bundle
    data: bytes
    signers: tuple[EphemeralSigner, ...]


@pytest.fixture(scope="module")
def house() -> House:
    world = World(regions=("330000", "440100", "510521"))
    now = seconds(NOW)
    first, second = twins()
    plain = EphemeralSigner()
    records = [*world.records(), first.record(KeyPurpose.CREDENTIAL), second.record(KeyPurpose.CREDENTIAL)]
    signers = [world.credential_key, first, second, world.status_key, plain]
    windows: list[dict[str, Any]] = [
        {"state": KeyState.NEXT, "not_before": now - 86_400},
        {"state": KeyState.NEXT, "not_before": now + 3600},
        {"state": KeyState.ACTIVE, "not_before": now - 86_400},
        {"state": KeyState.VERIFY_ONLY, "retired_from": now - 86_400},
        {"state": KeyState.RETIRED},
        {"state": KeyState.COMPROMISED},
        {"state": KeyState.COMPROMISED, "compromised_from": 0},
        {"state": KeyState.COMPROMISED, "compromised_from": now - 86_400},
        {"state": KeyState.ACTIVE, "compromised_from": now - 86_400},
    ]
    for window in windows:
        signer = EphemeralSigner()
        signers.append(signer)
        records.append(replace(signer.record(KeyPurpose.CREDENTIAL), **window))
    if SM2_KEY is not None:
        signers.append(SM2_KEY)
        records.append(SM2_KEY.record(KeyPurpose.CREDENTIAL))
    values = {1: EcardStatus.INVALID, 2: EcardStatus.SUSPENDED}
    document = world.trust_document(world.trust_list(_each_once(records)))
    data = make_bundle(world.root, document, [world.status_token(values)], made_at=NOW)
    return House(world, open_bundle(data, NOW, world.root), data, tuple(signers))


def _each_once(records: list[KeyRecord]) -> list[KeyRecord]:
    return list({record.public: record for record in records}.values())


def _credential(house: House, device: DeviceKey, rng: random.Random) -> Credential:
    now = seconds(NOW)
    issued = now - rng.choice([86_400, 86_400 - 60, 86_400 + 60, 86_400 + 61, 3600, 0, -60, -61, 60, 61, 121])
    index = rng.choice([7, 7, 7, 1, 2, LIST_SIZE - 1, LIST_SIZE, 2**32 - 1])
    base = house.world.credential(device)
    return replace(
        base,
        issued_at=issued,
        expires_at=max(issued + 1, now + rng.choice([365 * 86_400, 0, -60, -61, 1])),
        status=replace(base.status, index=index, list_id=rng.choice([1, 1, 1, 1, 2])),
        assurance=rng.choice(list(ChipAssurance)),
        device_algorithm=rng.choice([Algorithm.ES256] * 15 + [Algorithm.SM2]),
        holder_proof=rng.choice([None, *HolderProof]),
        test_card=rng.random() < 0.1,
        region=rng.choice([REGION, "330000", "331002", "340000", "440106", "440200", "510521", "510522", "000000"]),
    )


def _code(house: House, rng: random.Random, at: datetime) -> str:
    """A code with true signatures over what may be strange, or all but true."""
    device = DeviceKey.generate()
    if rng.random() < 0.2:
        credential = house.world.credential(device, assurance=rng.choice(list(ChipAssurance)))
        credential = replace(credential, status=replace(credential.status, index=rng.choice([7, 7, 7, 1, 2])))
        code = device.offline_code(house.world.compact(credential), at)
        return code if rng.random() < 0.9 else _malleated(code)
    signer = house.signers[0] if rng.random() < 0.5 else rng.choice(house.signers)
    credential = _credential(house, device, rng) if rng.random() < 0.8 else house.world.credential(device)
    draft = cwt.draft(credential, bytes.fromhex(signer.key_id), signer.algorithm)
    if rng.random() < 0.2:
        draft = cwt.UnsignedCwt(draft.protected, _bent(draft.payload, rng))
    data = draft.complete(signer.sign(signer.key_id, [draft.signing_input])[0])
    if rng.random() < 0.05 and signer.algorithm is Algorithm.ES256:
        data = data[:-32] + (P256_ORDER - int.from_bytes(data[-32:])).to_bytes(32)
    if rng.random() < 0.1:
        data = _bent(data, rng)
    issued = seconds(at) - rng.choice([0, 0, 0, 60, 61, 119, 120, 121, -60, -61])
    audience = rng.choice([None, None, None, "desk-7", "desk-8", "a" * 23, "a" * 24, "a" * 64])
    algorithm = rng.choice([Algorithm.ES256] * 9 + [Algorithm.SM2])
    claims: dict[int, object] = {6: issued, 39: rng.randbytes(8)} | ({} if audience is None else {3: audience})
    if rng.random() < 0.05:
        claims |= {10: rng.randbytes(rng.choice([16, 16, 16, 8]))}
    body = cbor.encode(claims)
    if rng.random() < 0.1:
        body = _bent(body, rng)
    protected = frame._PROTECTED_START[algorithm] + data
    unsigned = frame.UnsignedOffline(protected, body)
    whole = device._frame(unsigned)
    if rng.random() < 0.2:
        whole = _bent(whole, rng)
    if len(whole) > 2500:
        whole = whole[:2500]
    text = payload.to_text(whole, Form.OFFLINE)
    return _mistyped(text, rng) if rng.random() < 0.2 else text


def _malleated(code: str) -> str:
    """The same code with the second form of the holder's signature."""
    data = payload.decode(code)[1]
    return payload.to_text(data[:-32] + (P256_ORDER - int.from_bytes(data[-32:])).to_bytes(32), Form.OFFLINE)


def _bent(data: bytes, rng: random.Random) -> bytes:
    """One byte otherwise, one more, one less, two exchanged, or a head in a longer form."""
    at = rng.randrange(len(data))
    match rng.randrange(6):
        case 0:
            return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:at] + rng.randbytes(1) + data[at:]
        case 2:
            return data[:at] + data[at + 1 :]
        case 3:
            return data[: at - 1] + data[at : at + 1] + data[at - 1 : at] + data[at + 1 :]
        case 4:
            return data[:at] + bytes([0x18, data[at] & 0x1F]) + data[at + 1 :]
        case _:
            return data[:at]


def _mistyped(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text))
    match rng.randrange(9):
        case 0:
            return text[:at] + text[at + 1 :]
        case 1:
            return text[:at] + text[at] + text[at:]
        case 2:
            return text[:at] + rng.choice("0123456789ABCXYZ $%*+-./:") + text[at + 1 :]
        case 3:
            return text[:at] + rng.choice("abc#é中\u00a0\ufeffＡ\x1f") + text[at + 1 :]
        case 4:
            return rng.choice([" ", "\t", "\r\n", "\x1c", "\x85", "\u3000", "\ufeff", "\u200b"]) + text + "\r\n"
        case 5:
            return text.lower()
        case 6:
            return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
        case 7:
            return text.replace("EC1", rng.choice(["EC0", "EC2", "ec1", "HC1", "E C1"]))
        case _:
            return text + text * rng.randrange(10)


def _short(rng: random.Random) -> str:
    device = DeviceKey.generate()
    answered = rng.choice([None, None, rng.randbytes(16)])
    draft = frame.draft_online(rng.randbytes(16), seconds(NOW), rng.randbytes(8), challenge=answered)
    text = payload.to_text(device._frame(draft), Form.ONLINE)
    if rng.random() < 0.3:
        data = _bent(payload.decode(text)[1], rng)
        text = payload.to_text(data, Form.ONLINE)
    return _mistyped(text, rng) if rng.random() < 0.6 else text


def _strange(rng: random.Random) -> str:
    return rng.choice(
        [
            *("", " ", "EC1:", "EC0:", "EC1: ", "ec0:", "1234567890", "https://pay.example/q/1", "EC1:" + "0" * 5000),
            *("A" * 40_000, "中" * 4097, "🂡" * 4096, "EC0:" + "A" * 4092, "EC1:BB8", "EC1:%69 VD92EX0", "\0", "EC1:ÿ"),
            "".join(rng.choices("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:", k=rng.randrange(3, 400))),
        ]
    )


POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"audience_required": True},
    {"accept_test": True},
    {"minimum_assurance": ChipAssurance.CHALLENGE},
    {"status_fresh": 300, "status_usable": 3600},
    {"skew": 0, "code_life": 30},
)
NAMES = {"audience_required": "audienceRequired", "accept_test": "acceptTest", "minimum_assurance": "minimumAssurance"}
NAMES |= {"status_fresh": "statusFresh", "status_usable": "statusUsable", "skew": "skew", "code_life": "codeLife"}


def said(verdict: Verdict) -> dict[str, Any]:
    """A verdict in the words of the page."""
    as_of, until = verdict.status_as_of, verdict.code_expires_at
    return {
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "statusAsOf": None if as_of is None else seconds(as_of),
        "chipAssurance": None if verdict.chip_assurance is None else verdict.chip_assurance.label,
        "holderProof": None if verdict.holder_proof is None else verdict.holder_proof.label,
        "testCard": verdict.test_card,
        "issuer": verdict.issuer,
        "replayKey": None if verdict.replay_key is None else verdict.replay_key.hex(),
        "codeExpiresAt": None if until is None else seconds(until),
    }


def test_thousands_of_codes_are_judged_alike(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(20261130)  # noqa: S311 - cases, not secrets
    made: list[tuple[str, datetime, dict[str, Any], str | None]] = []
    for _ in range(ROUNDS):
        off = [0, 0, 0, 0, 3599, 3601, 86_400, 86_401, 86_459, 86_461, 8 * 86_400, -60, -120, -121, -200]
        now = NOW + timedelta(seconds=rng.choice(off), milliseconds=rng.choice([0, 0, 1, 999]))
        kind = rng.random()
        text = _code(house, rng, now) if kind < 0.8 else _short(rng) if kind < 0.95 else _strange(rng)
        policy = POLICIES[0] if rng.random() < 0.6 else rng.choice(POLICIES)
        made.append((text, now, policy, rng.choice([None, None, "desk-7"])))
    requests: list[Request] = [{"kind": "open", "name": "b", "data": b64(house.data), "now": seconds(NOW)}]
    for text, now, policy, audience in made:
        named = {NAMES[name]: int(value) if type(value) is not bool else value for name, value in policy.items()}
        about = {"policy": named, "audience": audience, "bundle": "b"}
        requests.append({"kind": "check", "text": text, "now": now.timestamp(), **about})
    answers = ask(requests)[1:]
    monkeypatch.setattr(sm2, "_found", lambda: None)
    without = open_bundle(house.data, NOW, house.world.root)  # opened where nothing computes SM2
    reasons: Counter[str] = Counter()
    for (text, now, policy, audience), answer in zip(made, answers, strict=True):
        verdict = check(text, without.trust, without.statuses, now, Policy(**policy), audience=audience)
        region = answer.pop("region")
        assert (region is None) == (verdict.chip_assurance is None)
        assert answer == said(verdict), text
        reasons[verdict.reason] += 1
    # Each of these was met, so that "alike" says something of each.
    wanted = "ok ended suspended status_unknown status_index_out_of_range status_stale status_aging trust_expired "
    wanted += "clock_behind code_expired code_from_future wrong_audience audience_missing region_not_allowed test_card "
    wanted += (
        "assurance_too_low key_compromised key_retired key_not_active key_wrong_purpose unknown_key bad_signature "
    )
    wanted += "bad_holder_signature bad_cwt bad_code code_damaged unreadable_code needs_online expired not_yet_valid "
    wanted += "bad_public_key algorithm_unavailable wrong_nonce"
    assert set(wanted.split()) <= set(reasons), set(wanted.split()) - set(reasons)


def test_keys_that_were_denied_since_the_list_are_refused_alike(house: House) -> None:
    """Every key of the house, whatever the list says of it, denied from one moment, from another, and wholly."""
    now, device = seconds(NOW), DeviceKey.generate()
    reasons: Counter[str] = Counter()
    for cut_offs in ([None], [0], [now - 3600], [now - 86_400], [now + 3600], [now + 3600, now - 3600], [None, now]):
        denied = [
            DeniedKey(jose.thumbprint(jose.jwk_of(record.public, Algorithm(record.algorithm))), cut_off)
            for entry in house.bundle.trust.issuers
            for record in entry.keys
            if record.purpose is KeyPurpose.CREDENTIAL
            for cut_off in cut_offs
        ]
        trust = house.bundle.trust.denying(denied)
        strictest = min(cut_off or 0 for cut_off in cut_offs)
        pairs = [[key.thumbprint.hex(), strictest] for key in denied]
        codes = []
        for signer in house.signers:
            for issued_at in (now - 2 * 86_400, now - 86_400, now - 3600, now - 3599, now):
                credential = replace(house.world.credential(device), issued_at=issued_at)
                draft = cwt.draft(credential, bytes.fromhex(signer.key_id), signer.algorithm)
                data = draft.complete(signer.sign(signer.key_id, [draft.signing_input])[0])
                codes.append(device.offline_code(data, NOW))
        opening = {"kind": "open", "name": "b", "data": b64(house.data), "now": now, "denied": pairs}
        answers = ask([opening, *({"kind": "check", "text": code, "now": now, "bundle": "b"} for code in codes)])[1:]
        for code, answer in zip(codes, answers, strict=True):
            verdict = check(code, trust, house.bundle.statuses, NOW, Policy())
            if answer["reason"] == "algorithm_unavailable":
                continue
            assert (answer["outcome"], answer["reason"]) == (verdict.outcome.value, verdict.reason)
            reasons[verdict.reason] += 1
    assert {"ok", "key_compromised", "key_retired", "key_not_active"} <= set(reasons)


def test_without_trust_nothing_is_decided(house: House) -> None:
    device = DeviceKey.generate()
    text = device.offline_code(house.world.compact(house.world.credential(device)), NOW)
    (answer,) = ask([{"kind": "check", "text": text, "now": NOW.timestamp()}])
    assert (answer["outcome"], answer["reason"]) == ("undecided", "trust_missing")


def test_what_only_a_service_can_resolve_is_left_to_it(house: House) -> None:
    device = DeviceKey.generate()
    credential = house.world.selective(house.world.credential(device))
    shown = device.present(credential, ["name"], audience="desk-7", nonce="n", now=NOW)
    (answer,) = ask([{"kind": "check", "text": shown, "now": NOW.timestamp()}])
    assert (answer["outcome"], answer["reason"]) == ("undecided", "needs_online")
