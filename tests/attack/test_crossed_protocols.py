"""A signature made for one kind of message never passes for another kind, whoever moves it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ecard_card import cbor, cose, cwt, jose, sd_jwt, status_token
from ecard_card.errors import EcardError
from ecard_card.status_list import StatusList
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_qr import frame, payload
from ecard_sdk.device import DeviceKey
from ecard_verifier.feed import FeedBeat, verify_event
from ecard_verifier.statuses import accept_status_token
from ecard_verifier.verdict import Outcome
from tests.attack.kit import cose_message, device_signer, judge, jws, shown_vc, vc_claims, vc_header
from tests.verifier.feed_kit import signed
from tests.world import NOW, World, seconds

WORLD = World()
DEVICE = DeviceKey.generate()
COMPACT = WORLD.compact(WORLD.credential(DEVICE))
SELECTIVE = WORLD.selective(WORLD.credential(DEVICE))
NONCE = bytes(8)


def offline(credential: bytes, aad: bytes = b"ecard-qr-1") -> str:
    """An EC1 text by the device key around any bytes that start like a COSE_Sign1."""
    protected = bytes.fromhex("a201280d") + credential
    claims = cbor.encode({6: seconds(NOW), 39: NONCE})
    signature = device_signer(DEVICE).sign("device", [cose.signing_input(protected, claims, aad)])[0]
    return payload.to_text(cose.encode_sign1(protected, claims, signature), payload.Form.OFFLINE)


def status_cwt(signer: EphemeralSigner) -> bytes:
    uri = WORLD.status_uri.replace("{list}", "1")
    draft = status_token.cwt_draft(
        uri, StatusList(64), bytes.fromhex(signer.key_id), seconds(NOW), seconds(NOW) + 60, 60
    )
    done = draft.complete(signer.sign(signer.key_id, [draft.signing_input])[0])
    assert isinstance(done, bytes)
    return done


def test_the_frame_that_these_attacks_bend_is_good() -> None:
    assert judge(WORLD, offline(COMPACT)).outcome is Outcome.VALID


@pytest.mark.parametrize("signer", [WORLD.status_key, WORLD.credential_key], ids=["status key", "credential key"])
def test_a_status_list_cwt_is_no_credential(signer: EphemeralSigner) -> None:
    verdict = judge(WORLD, offline(status_cwt(signer)))
    assert (verdict.outcome, verdict.credential_id) == (Outcome.INVALID, None)


@pytest.mark.parametrize("aad", [b"", b"ecard-qr-1", b"ecard-qr-0", b"ecard-cred-1\x00", b"ecard-cred-2"])
def test_the_issuers_signature_counts_under_the_credentials_own_context_only(aad: bytes) -> None:
    draft = cwt.draft(WORLD.credential(DEVICE), bytes.fromhex(WORLD.credential_key.key_id))
    headers = cbor.decode(draft.protected)
    assert isinstance(headers, dict)
    credential = cose_message(WORLD.credential_key, headers, draft.payload, aad)
    assert judge(WORLD, offline(credential)).reason == "bad_signature"


@pytest.mark.parametrize("aad", [b"", b"ecard-cred-1", b"ecard-qr-0"])
def test_the_devices_signature_counts_under_the_codes_own_context_only(aad: bytes) -> None:
    assert judge(WORLD, offline(COMPACT, aad)).reason == "bad_holder_signature"


def test_a_code_inside_a_code_is_no_credential() -> None:
    _, inner = payload.decode(offline(COMPACT))
    verdict = judge(WORLD, offline(inner))
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "bad_cwt")


def test_the_two_codes_of_one_second_do_not_lend_each_other_their_signatures() -> None:
    whole = frame.parse_offline(payload.decode(offline(COMPACT))[1])
    credential_id = cwt.parse(COMPACT).credential_id
    short = frame.draft_online(credential_id, whole.issued_at, whole.nonce)
    held = {credential_id: COMPACT}
    text = payload.to_text(short.complete(whole.signature), payload.Form.ONLINE)
    assert judge(WORLD, text, credentials=held).reason == "bad_holder_signature"
    signature = device_signer(DEVICE).sign("device", [short.signing_input])[0]
    draft = frame.draft_offline(COMPACT, whole.issued_at, whole.nonce)
    text = payload.to_text(draft.complete(signature), payload.Form.OFFLINE)
    assert judge(WORLD, text).reason == "bad_holder_signature"


def _tokens() -> dict[str, str]:
    shown = DEVICE.present(SELECTIVE, [], audience="a", nonce="n", now=NOW)
    return {
        "credential": SELECTIVE.split("~")[0],
        "key binding": shown.rsplit("~", 1)[1],
        "device proof": DEVICE.proof(WORLD.issuer, "enrolment", NOW),
        "status list": WORLD.status_token(),
        "event": signed(WORLD, FeedBeat(seconds(NOW)), 0),
    }


def _as_key_binding(token: str) -> object:
    return sd_jwt.parse_key_binding(sd_jwt.parse(sd_jwt.present(SELECTIVE, []) + token))


READERS: dict[str, Callable[[str], object]] = {
    "credential": lambda token: sd_jwt.parse(token + "~"),
    "key binding": _as_key_binding,
    "device proof": lambda token: jose.parse_compact(token, typ="ecard-device-proof+jwt"),
    "status list": lambda token: accept_status_token(token, WORLD.trust(), NOW),
    "event": lambda token: verify_event(token, WORLD.trust(), NOW),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", READERS)
def test_every_token_is_read_as_its_own_kind_only(kind: str, reader: str) -> None:
    token = _tokens()[kind]
    if kind == reader:
        READERS[reader](token.split("~")[0])
        return
    with pytest.raises(EcardError):
        READERS[reader](token)


@pytest.mark.parametrize("typ", ["statuslist+jwt", "secevent+jwt", "dc+sd-jwt", "kb+jwt", "JWT"])
def test_an_event_signed_under_another_type_is_refused_even_by_the_event_key(typ: str) -> None:
    token = signed(WORLD, FeedBeat(seconds(NOW)), 0)
    claims = jose.parse_json(jose.b64url_decode(token.split(".")[1]))
    assert isinstance(claims, dict)
    bent = jws(WORLD.event_key, {"alg": "ES256", "kid": WORLD.event_key.key_id, "typ": typ}, claims)
    if typ == "secevent+jwt":
        assert verify_event(bent, WORLD.trust(), NOW).seq == 0
        return
    with pytest.raises(EcardError, match="wrong_type"):
        verify_event(bent, WORLD.trust(), NOW)


def test_a_status_list_signed_by_the_credential_or_event_key_is_refused() -> None:
    for signer in (WORLD.credential_key, WORLD.event_key):
        for token in (WORLD.status_token(signer=signer), status_cwt(signer)):
            with pytest.raises(EcardError, match="unknown_key"):
                accept_status_token(token, WORLD.trust(), NOW)


@pytest.mark.parametrize(
    "extra",
    [
        {"jwk": DEVICE.public_jwk},
        {"crit": ["exp"]},
        {"crit": []},
        {"jku": "https://thief.example/keys"},
        {"x5u": "https://thief.example/cert"},
        {"b64": False},
        {"b64": True},
        {"zip": "DEF"},
        {"cty": "JWT"},
        {"x5t": "abc"},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_a_header_that_we_do_not_use_is_refused_under_a_good_signature_too(extra: dict[str, object]) -> None:
    token = jws(WORLD.credential_key, vc_header(WORLD) | extra, vc_claims(WORLD, DEVICE))
    verdict = judge(WORLD, shown_vc(DEVICE, token), audience="a", nonce="n")
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "bad_sd_jwt")


def test_a_chain_of_certificates_in_the_header_brings_no_key() -> None:
    thief = EphemeralSigner(WORLD.credential_key.key_id)
    header = vc_header(WORLD) | {"x5c": ["MIIB", "MIIC"]}
    for signer, reason in ((thief, "bad_signature"), (WORLD.credential_key, "ok")):
        token = jws(signer, header, vc_claims(WORLD, DEVICE))
        assert judge(WORLD, shown_vc(DEVICE, token), audience="a", nonce="n").reason == reason


@pytest.mark.parametrize("kid", ["", "../../keys", "' OR 1=1 --", "\x00", "0" * 256, "ABCDEF01", "ａｂｃｄ"])
def test_an_odd_key_id_finds_no_key(kid: str) -> None:
    token = jws(WORLD.credential_key, vc_header(WORLD) | {"kid": kid}, vc_claims(WORLD, DEVICE))
    assert judge(WORLD, shown_vc(DEVICE, token), audience="a", nonce="n").reason == "unknown_key"
