"""`check`: each step refuses what it is there for, and nothing is `valid` by default."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card import cwt, jose, sd_jwt
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_card.status import EcardStatus
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import DEFAULT_USER_ID, P256_ORDER, KeyPurpose, KeyState
from ecard_keys.sm2 import keys as sm2
from ecard_keys.trust.trust import DeniedKey, Trust
from ecard_qr import frame, payload
from ecard_qr.challenge import Challenge, Transaction
from ecard_sdk.device import DeviceKey
from ecard_verifier.check import STEPS, check, check_credential
from ecard_verifier.policy import ONLINE_POLICY, Policy
from ecard_verifier.presented import read_issued
from ecard_verifier.verdict import Outcome, Verdict
from tests.world import NOW, NoStatuses, World, seconds

ALGORITHMS = [Algorithm.ES256, Algorithm.SM2]


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def device() -> DeviceKey:
    return DeviceKey.generate()


@pytest.fixture(scope="module")
def compact(world: World, device: DeviceKey) -> bytes:
    return world.compact(world.credential(device))


def judge(world: World, code: str, now: datetime = NOW, **changes: object) -> Verdict:
    arguments = {"trust": world.trust(), "statuses": world.statuses(), "now": now} | changes
    return check(code, **arguments)  # type: ignore[arg-type]


def malleated(signature: bytes) -> bytes:
    s = P256_ORDER - int.from_bytes(signature[32:], "big")
    return signature[:32] + s.to_bytes(32, "big")


def test_a_fresh_offline_code_is_valid_and_says_what_was_proven(
    world: World, device: DeviceKey, compact: bytes
) -> None:
    verdict = judge(world, device.offline_code(compact, NOW))
    assert (verdict.outcome, verdict.reason) == (Outcome.VALID, "ok")
    assert verdict.chip_assurance is ChipAssurance.CHALLENGE
    assert verdict.status_as_of == NOW
    assert [(line.number, line.name, line.ok) for line in verdict.checks] == [
        (number, name, True) for number, name in enumerate(STEPS, 1)
    ]


def test_a_short_code_is_resolved_online_and_needs_somebody_to_ask(
    world: World, device: DeviceKey, compact: bytes
) -> None:
    code = device.online_code(compact, NOW)
    held = {cwt.parse(compact).credential_id: compact}
    assert judge(world, code, credentials=held).outcome is Outcome.VALID
    assert judge(world, code).reason == "needs_online"
    assert judge(world, code).outcome is Outcome.UNDECIDED
    assert judge(world, code, credentials={}).reason == "unknown_credential"
    other = world.compact(world.credential(device))
    assert judge(world, code, credentials={cwt.parse(compact).credential_id: other}).reason == "unknown_credential"


def test_a_selective_disclosure_presentation_is_valid_for_its_audience_and_nonce(
    world: World, device: DeviceKey
) -> None:
    token = world.selective(world.credential(device))
    shown = device.present(token, ["name"], audience="https://clinic.example", nonce="n-1", now=NOW)
    verdict = judge(world, shown, audience="https://clinic.example", nonce="n-1")
    assert (verdict.outcome, verdict.reason) == (Outcome.VALID, "ok")
    assert verdict.claims["name"] == "测试"
    assert "card_number" not in verdict.claims
    assert judge(world, shown, audience="https://other.example", nonce="n-1").reason == "wrong_audience"
    assert judge(world, shown, audience="https://clinic.example", nonce="n-2").reason == "wrong_nonce"
    assert judge(world, token, audience="https://clinic.example", nonce="n-1").reason == "key_binding_missing"


def test_an_answer_to_a_challenge_is_good_for_that_challenge_alone(
    world: World, device: DeviceKey, compact: bytes
) -> None:
    asked = Challenge("desk-7", "窗口", "payment", seconds(NOW) + 120, bytes(16), Transaction(500, "fund", "1"))
    dearer = replace(asked, transaction=Transaction(5000, "fund", "1"))
    held = {cwt.parse(compact).credential_id: compact}
    plain = device.offline_code(compact, NOW)
    for answer in (
        device.offline_code(compact, NOW, challenge=asked),
        device.online_code(compact, NOW, challenge=asked),
    ):
        assert judge(world, answer, credentials=held, nonce=asked.answer).outcome is Outcome.VALID
        strict = Policy(audience_required=True)
        assert judge(world, answer, credentials=held, nonce=asked.answer, policy=strict).outcome is Outcome.VALID
        for asking in (dearer.answer, None):
            verdict = judge(world, answer, credentials=held, nonce=asking)
            assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "wrong_nonce")
    verdict = judge(world, plain, nonce=asked.answer)
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "challenge_unanswered")


@pytest.mark.parametrize("offset", [-60, -59, 0, 59, 60])
def test_clocks_may_differ_by_a_minute_both_ways(world: World, device: DeviceKey, compact: bytes, offset: int) -> None:
    code = device.offline_code(compact, NOW + timedelta(seconds=offset))
    assert judge(world, code).outcome is Outcome.VALID


@pytest.mark.parametrize(
    ("offset", "reason"), [(-600, "code_expired"), (-121, "code_expired"), (600, "code_from_future")]
)
def test_an_old_or_future_code_is_refused(
    world: World, device: DeviceKey, compact: bytes, offset: int, reason: str
) -> None:
    verdict = judge(world, device.offline_code(compact, NOW + timedelta(seconds=offset)))
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, reason)


@pytest.mark.parametrize(
    ("issued", "expires", "reason"),
    [
        (timedelta(minutes=10), timedelta(days=1), "not_yet_valid"),
        (timedelta(seconds=59), timedelta(days=1), "ok"),
        (timedelta(days=-2), timedelta(minutes=-10), "expired"),
        (timedelta(days=-2), timedelta(seconds=-59), "ok"),
    ],
)
def test_the_credential_is_judged_by_its_validity(
    world: World, device: DeviceKey, issued: timedelta, expires: timedelta, reason: str
) -> None:
    credential = world.credential(device, issued_at=seconds(NOW + issued), expires_at=seconds(NOW + expires))
    assert judge(world, device.offline_code(world.compact(credential), NOW)).reason == reason


def test_another_devices_signature_is_refused(world: World, compact: bytes) -> None:
    thief = DeviceKey.generate()
    verdict = judge(world, thief.offline_code(compact, NOW))
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "bad_holder_signature")


def test_a_key_that_nobody_trusts_is_refused(world: World, device: DeviceKey) -> None:
    stranger = EphemeralSigner()
    code = device.offline_code(world.compact(world.credential(device), stranger), NOW)
    assert judge(world, code).reason == "unknown_key"


def test_a_forged_signature_under_a_trusted_kid_is_refused(world: World, device: DeviceKey) -> None:
    forger = EphemeralSigner(world.credential_key.key_id)
    code = device.offline_code(world.compact(world.credential(device), forger), NOW)
    assert judge(world, code).reason == "bad_signature"


@pytest.mark.parametrize("purpose", [purpose for purpose in KeyPurpose if purpose is not KeyPurpose.CREDENTIAL])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_right_signature_by_a_key_of_another_purpose_is_refused(
    world: World, device: DeviceKey, purpose: KeyPurpose, algorithm: Algorithm
) -> None:
    signer = EphemeralSigner(algorithm=algorithm)
    trust = world.trust((*world.records(), signer.record(purpose)))
    credential = world.credential(device)
    code = device.offline_code(world.compact(credential, signer), NOW)
    assert judge(world, code, trust=trust).reason == "key_wrong_purpose"
    shown = device.present(world.selective(credential, signer), [], audience="a", nonce="n", now=NOW)
    assert judge(world, shown, trust=trust, audience="a", nonce="n").reason == "key_wrong_purpose"


def test_two_keys_with_one_kid_are_both_tried(world: World, device: DeviceKey, compact: bytes) -> None:
    twin = EphemeralSigner(world.credential_key.key_id).record(KeyPurpose.CREDENTIAL)
    assert judge(world, device.offline_code(compact, NOW), trust=world.trust((twin, *world.records()))).reason == "ok"


@pytest.mark.parametrize(
    ("state", "times", "reason"),
    [
        (KeyState.GENERATED, {}, "unknown_key"),
        (KeyState.DESTROYED, {}, "unknown_key"),
        (KeyState.ACTIVE, {"not_before": seconds(NOW)}, "key_not_active"),
        (KeyState.NEXT, {}, "key_not_active"),
        (KeyState.VERIFY_ONLY, {"retired_from": seconds(NOW)}, "ok"),
        (KeyState.VERIFY_ONLY, {"retired_from": seconds(NOW - timedelta(days=2))}, "key_retired"),
        (KeyState.RETIRED, {}, "key_retired"),
        (KeyState.COMPROMISED, {}, "key_compromised"),
        (KeyState.COMPROMISED, {"compromised_from": seconds(NOW)}, "ok"),
        (KeyState.COMPROMISED, {"compromised_from": seconds(NOW - timedelta(days=2))}, "key_compromised"),
    ],
)
def test_the_issuer_key_must_have_been_allowed_to_sign_then(
    world: World, device: DeviceKey, compact: bytes, state: KeyState, times: dict[str, int], reason: str
) -> None:
    credential_key, *others = world.records()
    trust = world.trust((replace(credential_key, state=state, **times), *others))  # type: ignore[arg-type]
    assert judge(world, device.offline_code(compact, NOW), trust=trust).reason == reason


@pytest.mark.parametrize(
    ("regions", "reason"),
    [
        (("000000",), "ok"),
        (("330000",), "ok"),
        (("330100",), "ok"),
        (("330102",), "region_not_allowed"),
        (("330200",), "region_not_allowed"),
        (("340000", "330100"), "ok"),
        (("340000",), "region_not_allowed"),
        ((), "region_not_allowed"),
    ],
)
def test_an_issuer_signs_for_its_regions_only(
    world: World, device: DeviceKey, compact: bytes, regions: tuple[str, ...], reason: str
) -> None:
    elsewhere = replace(world, regions=regions)
    verdict = judge(elsewhere, device.offline_code(compact, NOW))
    assert verdict.reason == reason
    if reason != "ok":
        assert verdict.outcome is Outcome.INVALID
        assert [line.number for line in verdict.checks if line.ok is False] == [5]
    shown = device.present(world.selective(world.credential(device)), [], audience="a", nonce="n", now=NOW)
    assert judge(elsewhere, shown, audience="a", nonce="n").reason == reason


@pytest.mark.parametrize("proof", [None, *HolderProof])
@pytest.mark.parametrize("test_card", [False, True])
def test_a_test_card_is_refused_unless_asked_for_and_says_how_its_holder_was_proven(
    world: World, device: DeviceKey, proof: HolderProof | None, test_card: bool
) -> None:
    credential = replace(world.credential(device), holder_proof=proof, test_card=test_card)
    offline = device.offline_code(world.compact(credential), NOW)
    shown = device.present(world.selective(credential), [], audience="a", nonce="n", now=NOW)
    asked = {"audience": "a", "nonce": "n"}
    for code, changes in ((offline, dict[str, object]()), (shown, dict[str, object](asked))):
        strict = judge(world, code, NOW, **changes)
        lenient = judge(world, code, NOW, policy=Policy(accept_test=True), **changes)
        assert (lenient.reason, lenient.holder_proof, lenient.test_card) == ("ok", proof, test_card)
        assert (strict.outcome, strict.reason) == (
            (Outcome.INVALID, "test_card") if test_card else (Outcome.VALID, "ok")
        )
        assert [line.number for line in strict.checks if line.ok is False] == ([5] if test_card else [])


def test_a_mark_that_says_no_is_none_of_ours(world: World, device: DeviceKey) -> None:
    credential = replace(world.credential(device), test_card=True)
    plain = sd_jwt.draft(credential, world.records()[0].kid, lambda: bytes(16))
    claims = jose.parse_json(jose.b64url_decode(plain.signing_input.split(b".")[1].decode()))
    assert isinstance(claims, dict)
    assert claims["test_card"] is True
    for wrong in (False, 1, "true", None):
        header = {"alg": "ES256", "typ": sd_jwt.TYP, "kid": world.records()[0].kid}
        forged = jose.compact_signing_input(header, {**claims, "test_card": wrong}).decode() + "." + "A" * 86 + "~"
        with pytest.raises(InvalidInput, match="true or absent"):
            read_issued(sd_jwt.parse(forged))


def test_a_key_of_another_issuer_does_not_lend_it_its_regions(world: World, device: DeviceKey) -> None:
    """The regions are those of the issuer whose key signed, and not of anybody else on the list."""
    other = World(issuer="https://other.example", status_uri="https://other.example/s/{list}", regions=("110000",))
    entries = (*world.trust_list().issuers, *other.trust_list().issuers)
    trust = Trust.of(replace(world.trust_list(), issuers=entries))
    credential = other.credential(device)
    code = device.offline_code(other.compact(credential), NOW)
    assert judge(other, code, trust=trust).reason == "region_not_allowed"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_header_that_names_the_other_algorithm_is_refused(
    world: World, device: DeviceKey, algorithm: Algorithm
) -> None:
    """The key is the right one and the signature is over the very bytes shown: only the header lies."""
    claimed = next(other for other in ALGORITHMS if other is not algorithm)
    signer = EphemeralSigner(algorithm=algorithm)
    trust = world.trust((signer.record(KeyPurpose.CREDENTIAL), *world.records()[1:]))
    credential = world.credential(device)
    unsigned = cwt.draft(credential, bytes.fromhex(signer.key_id), claimed)
    lying = unsigned.complete(signer.sign(signer.key_id, [unsigned.signing_input])[0])
    assert judge(world, device.offline_code(lying, NOW), trust=trust).reason == "bad_signature"
    draft = sd_jwt.draft(credential, signer.key_id, lambda: bytes(16), claimed)
    token = draft.complete(signer.sign(signer.key_id, [draft.signing_input])[0])
    shown = device.present(token, [], audience="a", nonce="n", now=NOW)
    assert judge(world, shown, trust=trust, audience="a", nonce="n").reason == "bad_signature"
    honest = device.offline_code(world.compact(credential, signer), NOW)
    assert judge(world, honest, trust=trust).reason == "ok"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_device_whose_header_names_the_other_algorithm_is_refused(world: World, algorithm: Algorithm) -> None:
    claimed = next(other for other in ALGORITHMS if other is not algorithm)
    holder = EphemeralSigner(algorithm=algorithm)
    credential = replace(world.credential(DeviceKey.generate()), device_key=holder.public, device_algorithm=algorithm)
    compact, token = world.compact(credential), world.selective(credential)
    for named, reason in ((algorithm, "ok"), (claimed, "bad_holder_signature")):
        draft = frame.draft_offline(compact, seconds(NOW), bytes(8), algorithm=named)
        code = draft.complete(holder.sign(holder.key_id, [draft.signing_input])[0])
        assert judge(world, payload.to_text(code, payload.Form.OFFLINE)).reason == reason
        bound = sd_jwt.key_binding_input(
            sd_jwt.present(token, []), audience="a", nonce="n", issued_at=seconds(NOW), algorithm=named
        )
        shown = bound.complete(holder.sign(holder.key_id, [bound.signing_input])[0])
        assert judge(world, shown, audience="a", nonce="n").reason == reason


def test_a_point_taken_for_one_of_the_other_curve_is_refused(world: World, compact: bytes) -> None:
    """The credential says P-256 of an SM2 key, and the other way round: no such key, or not its signature."""
    holder = EphemeralSigner(algorithm=Algorithm.SM2)
    wrong = replace(world.credential(DeviceKey.generate()), device_key=holder.public)
    draft = frame.draft_offline(world.compact(wrong), seconds(NOW), bytes(8))
    code = draft.complete(holder.sign(holder.key_id, [draft.signing_input])[0])
    verdict = judge(world, payload.to_text(code, payload.Form.OFFLINE))
    assert verdict.outcome is Outcome.INVALID
    assert verdict.reason in ("bad_public_key", "bad_holder_signature")


def test_a_device_key_of_a_root_algorithm_is_no_device_key(world: World) -> None:
    """Our own formats cannot say it; a JWK can."""
    draft = sd_jwt.draft(world.credential(DeviceKey.generate()), world.credential_key.key_id, lambda: bytes(16))
    head, body = draft.signing_input.decode().split(".")
    claims = jose.parse_json(jose.b64url_decode(body))
    assert isinstance(claims, dict)
    claims["cnf"] = {"jwk": jose.jwk_of(EphemeralSigner(algorithm=Algorithm.ML_DSA_65).public, Algorithm.ML_DSA_65)}
    unsigned = f"{head}.{jose.b64url_encode(jose.dump_json(claims))}".encode()
    (signature,) = world.credential_key.sign(world.credential_key.key_id, [unsigned])
    token = sd_jwt.parse(sd_jwt.UnsignedSdJwt(unsigned, draft.disclosures).complete(signature))
    with pytest.raises(CheckFailed) as refusal:
        check_credential(token, world.trust(), NOW)
    assert refusal.value.code == "bad_holder_signature"


def test_another_user_id_of_the_issuer_is_refused(world: World, device: DeviceKey) -> None:
    signer = EphemeralSigner(algorithm=Algorithm.SM2, user_id=b"ISSUER-1")
    code = device.offline_code(world.compact(world.credential(device), signer), NOW)
    record = signer.record(KeyPurpose.CREDENTIAL)
    for user_id, reason in ((b"ISSUER-1", "ok"), (DEFAULT_USER_ID, "bad_signature"), (b"", "bad_signature")):
        trust = world.trust((replace(record, user_id=user_id), *world.records()[1:]))
        assert judge(world, code, trust=trust).reason == reason


def test_a_device_signs_with_the_default_user_id(world: World) -> None:
    holder = EphemeralSigner(algorithm=Algorithm.SM2, user_id=b"another")
    credential = replace(
        world.credential(DeviceKey.generate()), device_key=holder.public, device_algorithm=Algorithm.SM2
    )
    draft = frame.draft_offline(world.compact(credential), seconds(NOW), bytes(8), algorithm=Algorithm.SM2)
    code = draft.complete(holder.sign(holder.key_id, [draft.signing_input])[0])
    assert judge(world, payload.to_text(code, payload.Form.OFFLINE)).reason == "bad_holder_signature"


def test_a_machine_without_sm2_does_not_decide(
    world: World, device: DeviceKey, compact: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer, holder = EphemeralSigner(algorithm=Algorithm.SM2), EphemeralSigner(algorithm=Algorithm.SM2)
    credential = world.credential(device)
    by_issuer = device.offline_code(world.compact(credential, signer), NOW)
    of_holder = replace(credential, device_key=holder.public, device_algorithm=Algorithm.SM2)
    draft = frame.draft_offline(world.compact(of_holder), seconds(NOW), bytes(8), algorithm=Algorithm.SM2)
    by_holder = payload.to_text(
        draft.complete(holder.sign(holder.key_id, [draft.signing_input])[0]), payload.Form.OFFLINE
    )
    monkeypatch.setattr(sm2, "_found", lambda: None)
    trust = world.trust((*world.records(), signer.record(KeyPurpose.CREDENTIAL)))
    for code, step in ((by_issuer, 4), (by_holder, 7)):
        verdict = judge(world, code, trust=trust)
        assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "algorithm_unavailable")
        assert [line.number for line in verdict.checks if line.ok is False] == [step]
    assert judge(world, device.offline_code(compact, NOW), trust=trust).reason == "ok"
    forged = cwt.draft(credential, bytes.fromhex(signer.key_id)).complete(bytes(64))  # ES256 is no word of this key's
    assert judge(world, device.offline_code(forged, NOW), trust=trust).reason == "bad_signature"


@pytest.mark.parametrize(
    ("cut_off", "reason"),
    [
        (None, "key_compromised"),
        (0, "key_compromised"),
        (seconds(NOW), "ok"),
        (seconds(NOW) - 90_000, "key_compromised"),
    ],
)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_denied_key_counts_as_compromised(
    device: DeviceKey, algorithm: Algorithm, cut_off: int | None, reason: str
) -> None:
    world = World(credential_key=EphemeralSigner(algorithm=algorithm))
    code = device.offline_code(world.compact(world.credential(device)), NOW)
    thumbprint = jose.thumbprint(jose.jwk_of(world.credential_key.public, algorithm))
    assert judge(world, code).reason == "ok"
    assert judge(world, code, trust=world.trust().denying([DeniedKey(thumbprint, cut_off)])).reason == reason


def test_malleated_signatures_are_refused(world: World, device: DeviceKey, compact: bytes) -> None:
    read = frame.parse_offline(payload.decode(device.offline_code(compact, NOW))[1])
    draft = frame.draft_offline(compact, read.issued_at, read.nonce)
    holder = payload.to_text(draft.complete(malleated(read.signature)), payload.Form.OFFLINE)
    assert judge(world, holder).reason == "bad_holder_signature"
    issued = compact[:-64] + malleated(compact[-64:])
    assert judge(world, device.offline_code(issued, NOW)).reason == "bad_signature"


@pytest.mark.parametrize(
    ("value", "outcome", "reason"),
    [
        (EcardStatus.SUSPENDED, Outcome.INVALID, "suspended"),
        (EcardStatus.INVALID, Outcome.INVALID, "ended"),
        (3, Outcome.INVALID, "status_not_understood"),
    ],
)
def test_the_status_decides(
    world: World, device: DeviceKey, compact: bytes, value: EcardStatus, outcome: Outcome, reason: str
) -> None:
    verdict = judge(world, device.offline_code(compact, NOW), statuses=world.statuses({7: value}))
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


def test_without_a_status_we_do_not_know(world: World, device: DeviceKey, compact: bytes) -> None:
    verdict = judge(world, device.offline_code(compact, NOW), statuses=NoStatuses())
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "status_unknown")


def test_a_status_index_outside_the_list_is_refused(world: World, device: DeviceKey) -> None:
    credential = world.credential(device)
    far = replace(credential, status=replace(credential.status, index=1 << 20))
    assert judge(world, device.offline_code(world.compact(far), NOW)).reason == "status_index_out_of_range"


@pytest.mark.parametrize(
    ("age", "outcome", "reason"),
    [
        (timedelta(seconds=3), Outcome.VALID, "ok"),
        (timedelta(seconds=10), Outcome.CHECK, "status_aging"),
        (timedelta(minutes=16), Outcome.UNDECIDED, "status_stale"),
        (timedelta(days=2), Outcome.UNDECIDED, "status_expired"),
        (timedelta(minutes=-5), Outcome.UNDECIDED, "clock_behind"),
    ],
)
def test_stale_knowledge_is_never_valid(
    world: World, device: DeviceKey, compact: bytes, age: timedelta, outcome: Outcome, reason: str
) -> None:
    statuses = world.statuses(issued_at=NOW - age)
    verdict = judge(world, device.offline_code(compact, NOW), statuses=statuses, policy=ONLINE_POLICY)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


def test_an_ended_card_is_refused_however_old_the_list(world: World, device: DeviceKey, compact: bytes) -> None:
    statuses = world.statuses({7: EcardStatus.INVALID}, issued_at=NOW - timedelta(days=30))
    assert judge(world, device.offline_code(compact, NOW), statuses=statuses).reason == "ended"


def test_without_current_trust_we_do_not_know(world: World, device: DeviceKey, compact: bytes) -> None:
    code = device.offline_code(compact, NOW)
    assert judge(world, code, trust=None).reason == "trust_missing"
    later = NOW + timedelta(days=8)
    verdict = judge(world, device.offline_code(compact, later), now=later)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "trust_expired")
    early = NOW - timedelta(minutes=10)
    assert judge(world, device.offline_code(compact, early), now=early).outcome is Outcome.UNDECIDED


def test_an_addressed_code_counts_only_where_it_is_addressed(world: World, device: DeviceKey, compact: bytes) -> None:
    code = device.offline_code(compact, NOW, audience="counter-1")
    assert judge(world, code, audience="counter-1").outcome is Outcome.VALID
    assert judge(world, code, audience="counter-2").reason == "wrong_audience"
    assert judge(world, code).reason == "wrong_audience"
    open_code = device.offline_code(compact, NOW)
    assert judge(world, open_code, policy=Policy(audience_required=True)).reason == "audience_missing"


def test_a_relying_party_can_demand_a_proof_level(world: World, device: DeviceKey, compact: bytes) -> None:
    policy = Policy(minimum_assurance=ChipAssurance.SIGNATURE)
    assert judge(world, device.offline_code(compact, NOW), policy=policy).reason == "assurance_too_low"


def test_a_token_may_not_name_another_issuers_status_list(world: World, device: DeviceKey) -> None:
    credential = world.credential(device)
    foreign = replace(credential, status=replace(credential.status, uri="https://elsewhere.example/status-lists/1"))
    shown = device.present(world.selective(foreign), [], audience="a", nonce="n", now=NOW)
    assert judge(world, shown, audience="a", nonce="n").reason == "status_list_foreign"


def test_a_token_may_not_claim_another_issuer(world: World, device: DeviceKey) -> None:
    foreign = world.credential(device, issuer="https://elsewhere.example")
    shown = device.present(world.selective(foreign), [], audience="a", nonce="n", now=NOW)
    assert judge(world, shown, audience="a", nonce="n").reason == "issuer_mismatch"


def test_the_replay_key_names_the_very_code(world: World, device: DeviceKey, compact: bytes) -> None:
    one, two = device.offline_code(compact, NOW), device.offline_code(compact, NOW)
    assert judge(world, one).replay_key == judge(world, one).replay_key
    assert judge(world, one).replay_key != judge(world, two).replay_key


@pytest.mark.parametrize(
    "text",
    ["", " ", "hello", "EC1:", "EC0:", "EC2:ABC", "~", "a~b~c", "EC1:" + "0" * 5000, "x" * 10_000_000, "https://a/~"],
)
def test_garbage_gets_a_verdict_too(world: World, text: str) -> None:
    verdict = judge(world, text)
    assert verdict.outcome is Outcome.INVALID
    assert verdict.checks[0].ok is False
    assert len(verdict.checks) == len(STEPS)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.text(max_size=300), st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:").map(lambda t: "EC1:" + t))
)
def test_no_text_raises(text: str) -> None:
    assert judge(_WORLD, text).outcome is Outcome.INVALID


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_one_flipped_bit_of_a_good_code_is_never_valid(data: st.DataObject) -> None:
    _, good = payload.decode(_GOOD)
    position = data.draw(st.integers(0, len(good) * 8 - 1))
    bent = bytearray(good)
    bent[position // 8] ^= 1 << position % 8
    verdict = judge(_WORLD, payload.to_text(bytes(bent), payload.Form.OFFLINE))
    assert verdict.outcome is Outcome.INVALID


_WORLD = World()
_DEVICE = DeviceKey.generate()
_GOOD = _DEVICE.offline_code(_WORLD.compact(_WORLD.credential(_DEVICE)), NOW.astimezone(UTC))
