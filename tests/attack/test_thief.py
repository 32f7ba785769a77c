"""A thief with a photo, a copied token, a rooted phone or a lying credential host gains nothing by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ecard_card import cwt, sd_jwt
from ecard_card.credential import StatusRef
from ecard_card.jose import b64url_decode, b64url_encode
from ecard_card.status import EcardStatus
from ecard_keys.key import P256_ORDER
from ecard_qr import frame, payload
from ecard_sdk.device import DeviceKey
from ecard_verifier.policy import Policy
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import VerificationService
from ecard_verifier.statuses import CredentialSource, StatusSnapshot
from ecard_verifier.trust_source import FixedTrust
from ecard_verifier.verdict import Outcome
from tests.attack.kit import device_signer, judge, jws, shown_vc, vc_claims, vc_header
from tests.world import NOW, World, seconds

WORLD = World()
DEVICE = DeviceKey.generate()
CREDENTIAL = WORLD.credential(DEVICE)
COMPACT = WORLD.compact(CREDENTIAL)


def counter(credentials: CredentialSource | None = None, statuses: StatusSnapshot | None = None) -> VerificationService:
    return VerificationService(
        FixedTrust(WORLD.trust()), statuses or WORLD.statuses(), credentials, ReplayGuard(), Policy(), lambda: NOW
    )


def malleated(signature: bytes) -> bytes:
    return signature[:32] + (P256_ORDER - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")


def full_width(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) for char in text)


@pytest.mark.parametrize(
    "rewrite",
    [
        str.lower,
        str.swapcase,
        full_width,
        lambda text: full_width(text.lower()),
        lambda text: f"\u3000\r\n{text}\x1c\n",
        lambda text: text[:40].lower() + full_width(text[40:]),
    ],
)
def test_the_same_short_code_spelled_otherwise_is_a_replay(rewrite: Callable[[str], str]) -> None:
    code = DEVICE.online_code(COMPACT, NOW)
    service = counter({cwt.parse(COMPACT).credential_id: COMPACT})
    assert service.verify(code).verdict.outcome is Outcome.VALID
    again = service.verify(rewrite(code)).verdict
    assert (again.outcome, again.reason, again.claims) == (Outcome.INVALID, "replayed", {})


@pytest.mark.parametrize("where", ["counter-2", "", "x" * 200, "x" * 201, "counter-1\x00", "\ud800"])
def test_a_photographed_code_is_used_up_for_every_other_counter(where: str) -> None:
    code = DEVICE.offline_code(COMPACT, NOW)
    service = counter()
    assert service.verify(code, counter="counter-1").verdict.outcome is Outcome.VALID
    for audience in (None, "", "elsewhere"):
        assert service.verify(code, counter=where, audience=audience).verdict.outcome is not Outcome.VALID


def test_a_code_whose_device_signature_is_malleated_is_refused_in_the_short_form_too() -> None:
    short = frame.parse_online(payload.decode(DEVICE.online_code(COMPACT, NOW))[1])
    draft = frame.draft_online(short.credential_id, short.issued_at, short.nonce)
    text = payload.to_text(draft.complete(malleated(short.signature)), payload.Form.ONLINE)
    held = {short.credential_id: COMPACT}
    assert judge(WORLD, text, credentials=held).reason == "bad_holder_signature"


def test_a_malleated_key_binding_is_the_same_showing() -> None:
    shown = DEVICE.present(WORLD.selective(CREDENTIAL), ["name"], audience="a", nonce="n", now=NOW)
    head, signature = shown.rsplit(".", 1)
    twin = f"{head}.{b64url_encode(malleated(b64url_decode(signature)))}"
    first, second = (judge(WORLD, text, audience="a", nonce="n") for text in (shown, twin))
    assert first.outcome is Outcome.VALID
    assert second.outcome is not Outcome.VALID or second.replay_key == first.replay_key


def test_a_malleated_issuer_signature_breaks_the_binding() -> None:
    shown = DEVICE.present(WORLD.selective(CREDENTIAL), ["name"], audience="a", nonce="n", now=NOW)
    token, rest = shown.split("~", 1)
    head, signature = token.rsplit(".", 1)
    bent = f"{head}.{b64url_encode(malleated(b64url_decode(signature)))}~{rest}"
    assert judge(WORLD, bent, audience="a", nonce="n").reason == "bad_key_binding"


def test_a_copied_token_shown_with_the_thiefs_own_key_is_refused() -> None:
    stolen = WORLD.selective(CREDENTIAL)
    thief = DeviceKey.generate()
    verdict = judge(WORLD, thief.present(stolen, ["name"], audience="a", nonce="n", now=NOW), audience="a", nonce="n")
    assert (verdict.reason, verdict.claims) == ("bad_holder_signature", {})


def test_a_binding_moved_to_another_selection_of_claims_is_refused() -> None:
    token = WORLD.selective(CREDENTIAL)
    binding = DEVICE.present(token, ["name"], audience="a", nonce="n", now=NOW).rsplit("~", 1)[1]
    for names in ([], ["birthdate"], ["name", "birthdate"]):
        moved = sd_jwt.present(token, names) + binding
        assert judge(WORLD, moved, audience="a", nonce="n").reason == "bad_key_binding"


def test_claims_are_shown_only_with_a_verdict_that_accepts() -> None:
    shown = DEVICE.present(WORLD.selective(CREDENTIAL), ["name"], audience="a", nonce="n", now=NOW)
    for changes in (
        {"statuses": WORLD.statuses({7: EcardStatus.SUSPENDED})},
        {"statuses": StatusSnapshot()},
        {"nonce": "other"},
        {"trust": None},
    ):
        verdict = judge(WORLD, shown, **({"audience": "a", "nonce": "n"} | changes))
        assert verdict.outcome is not Outcome.VALID
        assert verdict.claims == {}


def test_a_code_cannot_answer_a_challenge() -> None:
    verdict = judge(WORLD, DEVICE.offline_code(COMPACT, NOW), nonce="n")
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "challenge_unanswered")


class LyingHost:
    """A credential host that answers every question with one message."""

    def __init__(self, message: bytes) -> None:
        self.message = message

    def get(self, credential_id: bytes, /) -> bytes | None:
        return self.message


def test_a_host_cannot_swap_a_cancelled_credential_for_another_of_the_same_device() -> None:
    """The device signed the one reference; a verdict on another credential is not what was shown."""
    ended = WORLD.compact(CREDENTIAL)
    reissued = WORLD.credential(DEVICE, status=StatusRef(CREDENTIAL.status.uri, 1, 9))
    host = LyingHost(WORLD.compact(reissued))
    statuses = WORLD.statuses({7: EcardStatus.INVALID})
    verdict = judge(WORLD, DEVICE.online_code(ended, NOW), statuses=statuses, credentials=host)
    assert verdict.outcome is not Outcome.VALID


def test_a_host_cannot_make_one_short_code_count_twice() -> None:
    code = DEVICE.online_code(COMPACT, NOW)
    host = LyingHost(COMPACT)
    service = counter(host)
    assert service.verify(code).verdict.outcome is Outcome.VALID
    host.message = WORLD.compact(WORLD.credential(DEVICE))
    assert service.verify(code).verdict.outcome is not Outcome.VALID


@pytest.mark.parametrize(
    "message",
    [b"", b"\xd2\x84", COMPACT[:-1], COMPACT + b"\x00", COMPACT[1:], b"\xff" * 1_000_000, payload.decode(
        DEVICE.offline_code(COMPACT, NOW))[1]],
    ids=["empty", "start", "cut", "longer", "untagged", "huge", "a code"],
)  # fmt: skip
def test_a_host_that_sends_garbage_gives_a_refusal(message: bytes) -> None:
    verdict = judge(WORLD, DEVICE.online_code(COMPACT, NOW), credentials=LyingHost(message))
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "bad_cwt")


@pytest.mark.parametrize(
    "now",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        NOW - timedelta(days=400),
        NOW + timedelta(days=6, hours=23),
        NOW + timedelta(days=400),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    ],
)
def test_a_verifier_whose_clock_is_far_off_accepts_no_code_of_today(now: datetime) -> None:
    assert judge(WORLD, DEVICE.offline_code(COMPACT, NOW), now=now).outcome is not Outcome.VALID


@pytest.mark.parametrize("when", [0, 1, seconds(NOW) - 121, seconds(NOW) + 61, 2**32, 253402300799])
def test_a_rooted_phone_cannot_sign_for_another_time(when: int) -> None:
    draft = frame.draft_offline(COMPACT, when, bytes(8))
    signature = device_signer(DEVICE).sign("device", [draft.signing_input])[0]
    verdict = judge(WORLD, payload.to_text(draft.complete(signature), payload.Form.OFFLINE))
    assert verdict.reason in ("code_expired", "code_from_future")


@pytest.mark.parametrize(
    "changes",
    [
        {"iat": True}, {"iat": "1"}, {"iat": 1.5}, {"iat": -1}, {"iat": 2**53}, {"iat": None},
        {"exp": True}, {"exp": "9999999999"}, {"exp": 9e9}, {"exp": -1}, {"exp": 2**64}, {"exp": None}, {"exp": [1]},
        {"nbf": "0"}, {"nbf": 2**53 - 1}, {"nbf": None}, {"nbf": True},
        {"iss": None}, {"iss": ["https://issuer.example"]}, {"iss": "https://issuer.example/"},
        {"iss": "HTTPS://issuer.example"}, {"iss": "https://issuer.example\u200b"},
        {"cnf": None}, {"cnf": {}}, {"cnf": {"kid": "x"}}, {"cnf": {"jwk": []}},
        {"cnf": {"jwk": DEVICE.public_jwk | {"d": "A" * 43}}}, {"cnf": {"jwk": DEVICE.public_jwk | {"crv": "P-384"}}},
        {"cnf": {"jwk": DEVICE.public_jwk | {"x": "A" * 43}}}, {"cnf": {"jwk": DEVICE.public_jwk | {"y": "A" * 42}}},
        {"status": None}, {"status": {}}, {"status": {"status_list": []}}, {"status": {"status_list": {"idx": 7}}},
        {"chip_assurance": None}, {"chip_assurance": 3}, {"chip_assurance": ["signature"]},
        {"chip_assurance": "SIGNATURE"}, {"chip_assurance": "mro"}, {"chip_assurance": "__members__"},
    ],
    ids=lambda bent: next(iter(bent)),
)  # fmt: skip
def test_a_claim_of_another_type_or_form_is_never_valid_even_when_the_issuer_signed_it(
    changes: dict[str, object],
) -> None:
    token = jws(WORLD.credential_key, vc_header(WORLD), vc_claims(WORLD, DEVICE) | changes)
    assert judge(WORLD, shown_vc(DEVICE, token), audience="a", nonce="n").outcome is Outcome.INVALID


@pytest.mark.parametrize("label", ["\u017fignature", "s\u0131gnature", "signatu\u0280e", "challenge ", ""])
def test_a_proof_level_is_read_by_its_exact_name(label: str) -> None:
    """Upper-casing makes an S of a long s and an I of a dotless i."""
    token = jws(WORLD.credential_key, vc_header(WORLD), vc_claims(WORLD, DEVICE) | {"chip_assurance": label})
    assert judge(WORLD, shown_vc(DEVICE, token), audience="a", nonce="n").outcome is Outcome.INVALID


@pytest.mark.parametrize("vct", [None, "", 7, ["x"], "https://issuer.example/vct/library-card/1"])
def test_a_credential_of_another_type_is_no_social_security_card(vct: object) -> None:
    """The key for credentials signs whatever credentials its issuer has; this verifier checks cards."""
    claims = vc_claims(WORLD, DEVICE) | {"vct": vct}
    verdict = judge(
        WORLD, shown_vc(DEVICE, jws(WORLD.credential_key, vc_header(WORLD), claims)), audience="a", nonce="n"
    )
    assert verdict.outcome is not Outcome.VALID


def test_a_credential_whose_device_key_is_no_point_is_refused() -> None:
    for x in (b"\xff" * 32, bytes(32), b"\x00" * 31 + b"\x07"):
        bad = WORLD.credential(DEVICE, device_key=b"\x04" + x + bytes(32))
        verdict = judge(WORLD, DEVICE.offline_code(WORLD.compact(bad), NOW))
        assert verdict.outcome is Outcome.INVALID


def test_the_audience_is_compared_exactly() -> None:
    code = DEVICE.offline_code(COMPACT, NOW, audience="counter-1")
    for audience in ("Counter-1", "counter-1 ", "counter-1\x00", "counter-11", "counter", "", None, "ｃounter-1"):
        assert judge(WORLD, code, audience=audience).reason == "wrong_audience"


def test_no_credential_issued_far_ahead_or_without_end_overflows() -> None:
    far = WORLD.credential(DEVICE, expires_at=100_000_000_000)
    assert judge(WORLD, DEVICE.offline_code(WORLD.compact(far), NOW)).outcome is Outcome.VALID
    token = jws(WORLD.credential_key, vc_header(WORLD), vc_claims(WORLD, DEVICE) | {"exp": 2**53 - 1})
    assert judge(WORLD, shown_vc(DEVICE, token), audience="a", nonce="n").outcome is Outcome.VALID
