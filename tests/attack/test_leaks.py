"""Nothing that is printed, logged or answered tells a name, a number, a code or a key that was in the input."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from ecard_card import cwt, jose, sd_jwt
from ecard_card.errors import EcardError
from ecard_card.status import EcardStatus
from ecard_issuer.draft import Draft
from ecard_keys.key import KeyPurpose
from ecard_qr import payload
from ecard_sdk.device import DeviceKey
from ecard_verifier.check import check_credential
from ecard_verifier.feed import FeedBeat, parse_event, verify_event
from ecard_verifier.policy import Policy
from ecard_verifier.presented import read, read_issued
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import VerificationService
from ecard_verifier.statuses import accept_status_token
from ecard_verifier.trust_source import FixedTrust
from tests.attack.kit import judge, jws, shown_vc, vc_claims, vc_header
from tests.verifier.feed_kit import signed
from tests.world import NOW, World, seconds

WORLD = World()
DEVICE = DeviceKey.generate()
CREDENTIAL = WORLD.credential(DEVICE)
SELECTIVE = WORLD.selective(CREDENTIAL)
SECRETS = ("测试", "1990-01-01", "TEST00018")
CANARY = "CANARY4711"


def hidden_forms(text: str) -> Iterator[str]:
    """The ways in which a claim may show: as it is, escaped by repr of bytes, or inside a disclosure."""
    yield text
    yield str(text.encode())[2:-1]
    for disclosure in SELECTIVE.split("~")[1:-1]:
        if text in jose.b64url_decode(disclosure).decode():
            yield disclosure


def assert_tells_nothing(thing: object) -> None:
    for shown in (repr(thing), str(thing)):
        for secret in SECRETS:
            assert not any(form in shown for form in hidden_forms(secret))


def test_a_read_token_shows_no_claim() -> None:
    shown = DEVICE.present(SELECTIVE, ["name", "birthdate", "card_number"], audience="a", nonce="n", now=NOW)
    token = sd_jwt.parse(shown)
    assert token.payload["name"] == SECRETS[0]
    assert_tells_nothing(token)
    assert_tells_nothing(read(shown, None))
    assert_tells_nothing(read_issued(token))
    assert_tells_nothing(check_credential(token, WORLD.trust(), NOW))


def test_an_unsigned_token_shows_no_claim() -> None:
    draft = sd_jwt.draft(CREDENTIAL, WORLD.credential_key.key_id, lambda: bytes(16))
    opened = [jose.b64url_decode(item).decode() for item in draft.disclosures]
    assert any(SECRETS[0] in text for text in opened)
    for thing in (
        draft,
        Draft(CREDENTIAL, cwt.draft(CREDENTIAL, bytes(4)), draft, WORLD.credential_key.record(KeyPurpose.CREDENTIAL)),
    ):
        assert not any(item in repr(thing) for item in draft.disclosures)
    presentation = sd_jwt.present(SELECTIVE, ["name"])
    binding = sd_jwt.key_binding_input(presentation, audience="a", nonce="n", issued_at=seconds(NOW))
    assert_tells_nothing(binding)


def test_a_verdict_shows_no_claim_in_its_text() -> None:
    shown = DEVICE.present(SELECTIVE, ["name", "birthdate"], audience="a", nonce="n", now=NOW)
    verdict = judge(WORLD, shown, audience="a", nonce="n")
    assert verdict.claims["name"] == SECRETS[0]
    assert_tells_nothing(verdict)
    refused = judge(WORLD, shown, audience="a", nonce="n", statuses=WORLD.statuses({7: EcardStatus.SUSPENDED}))
    assert SECRETS[0] not in str(refused.to_json())


def hostile_texts() -> Iterator[str]:
    """Inputs with a canary in every place that a message could quote."""
    yield CANARY
    yield f"EC1:{CANARY}"
    yield f"EC0:{CANARY}"
    yield f"{CANARY}~{CANARY}~{CANARY}"
    yield DEVICE.offline_code(WORLD.compact(CREDENTIAL), NOW, audience=CANARY)
    header, claims = vc_header(WORLD), vc_claims(WORLD, DEVICE)
    for name in header:
        yield shown_vc(DEVICE, jws(WORLD.credential_key, header | {name: CANARY}, claims))
    yield shown_vc(DEVICE, jws(WORLD.credential_key, header | {CANARY: CANARY}, claims))
    for name in claims:
        yield shown_vc(DEVICE, jws(WORLD.credential_key, header, claims | {name: CANARY}))
    for uri in (CANARY, f"https://issuer.example/status-lists/{CANARY}"):
        reference = {"status": {"status_list": {"idx": 7, "uri": uri}}}
        yield shown_vc(DEVICE, jws(WORLD.credential_key, header, claims | reference))
    disclosure = jose.b64url_encode(jose.dump_json([CANARY, CANARY, CANARY]))
    yield shown_vc(DEVICE, jws(WORLD.credential_key, header, claims), (disclosure,))
    yield shown_vc(DEVICE, jws(WORLD.credential_key, header, claims | {"_sd": [CANARY]}), (disclosure,))


def test_no_reason_or_detail_quotes_what_was_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    service = VerificationService(
        FixedTrust(WORLD.trust()), WORLD.statuses(), None, ReplayGuard(), Policy(), lambda: NOW
    )
    for text in hostile_texts():
        for verdict in (judge(WORLD, text, audience="a", nonce="n"), service.verify(text).verdict):
            assert CANARY not in repr(verdict)
            if not verdict.claims:
                assert CANARY not in str(verdict.to_json())
    assert CANARY not in caplog.text


def test_no_refusal_of_an_event_or_list_quotes_it() -> None:
    event = signed(WORLD, FeedBeat(seconds(NOW)), 0)
    payload_of = jose.parse_json(jose.b64url_decode(event.split(".")[1]))
    assert isinstance(payload_of, dict)
    header = {"alg": "ES256", "kid": WORLD.event_key.key_id, "typ": "secevent+jwt"}
    texts = [jws(WORLD.event_key, header, payload_of | {name: CANARY}) for name in payload_of if name != "jti"]
    texts += [jws(WORLD.event_key, header | {name: CANARY}, payload_of) for name in header]
    for text in [*texts, CANARY, f"{CANARY}.{CANARY}.{CANARY}"]:
        for reader in (
            lambda t: verify_event(t, WORLD.trust(), NOW),
            lambda t: accept_status_token(t, WORLD.trust(), NOW),
        ):
            with pytest.raises(EcardError) as caught:
                reader(text)
            assert CANARY not in str(caught.value)
            assert CANARY not in repr(caught.value)


def test_a_code_and_an_event_do_not_show_whole_in_their_repr() -> None:
    compact = WORLD.compact(CREDENTIAL)
    for code in (DEVICE.offline_code(compact, NOW), DEVICE.online_code(compact, NOW)):
        frame = payload.parse(code)
        assert str(frame.signature)[2:-1] not in repr(frame)
    event = parse_event(signed(WORLD, FeedBeat(seconds(NOW)), 0))
    assert str(event.jws.signature)[2:-1] not in repr(event)


def test_a_device_key_and_a_key_file_show_no_key() -> None:
    number = DEVICE._private.private_numbers().private_value
    for thing in (DEVICE, vars(DEVICE), WORLD.credential_key, WORLD.credential_key.record(KeyPurpose.CREDENTIAL)):
        assert str(number) not in repr(thing)
        assert f"{number:x}" not in repr(thing)
