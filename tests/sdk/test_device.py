"""A device key signs what the holder shows, and nothing but its owner's passphrase opens it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ecard_card import jose
from ecard_card.device_proof import PROOF_TYPE
from ecard_card.errors import InvalidInput
from ecard_keys.verify import load_public_key, verify_jws
from ecard_qr import payload, picture
from ecard_qr.frame import OfflineFrame, OnlineFrame
from ecard_sdk.device import DeviceKey
from ecard_verifier.check import check
from tests.world import ISSUER, NOW, World


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_every_code_is_another_one_and_each_verifies(world: World) -> None:
    device = DeviceKey.generate()
    credential = world.compact(world.credential(device))
    codes = [device.offline_code(credential, NOW) for _ in range(3)]
    assert len(set(codes)) == 3
    for code in codes:
        assert check(code, world.trust(), world.statuses(), NOW).outcome == "valid"


def test_both_forms_fit_the_promised_pictures(world: World) -> None:
    device = DeviceKey.generate()
    credential = world.compact(world.credential(device))
    whole, short = device.offline_code(credential, NOW), device.online_code(credential, NOW)
    assert isinstance(payload.parse(whole), OfflineFrame)
    assert isinstance(payload.parse(short), OnlineFrame)
    assert picture.version_of(whole) <= 13
    assert picture.version_of(short) <= 8


def test_a_code_of_another_device_is_refused(world: World) -> None:
    credential = world.compact(world.credential(DeviceKey.generate()))
    verdict = check(DeviceKey.generate().offline_code(credential, NOW), world.trust(), world.statuses(), NOW)
    assert (verdict.outcome, verdict.reason) == ("invalid", "bad_holder_signature")


def test_a_code_for_one_counter_is_refused_at_another(world: World) -> None:
    device = DeviceKey.generate()
    code = device.offline_code(world.compact(world.credential(device)), NOW, audience="clinic-1")
    assert check(code, world.trust(), world.statuses(), NOW, audience="clinic-1").outcome == "valid"
    assert check(code, world.trust(), world.statuses(), NOW, audience="clinic-2").reason == "wrong_audience"


def test_a_presentation_discloses_the_named_claims_only(world: World) -> None:
    device = DeviceKey.generate()
    token = device.present(world.selective(world.credential(device)), {"name"}, audience="a", nonce="n" * 16, now=NOW)
    verdict = check(token, world.trust(), world.statuses(), NOW, audience="a", nonce="n" * 16)
    assert verdict.outcome == "valid"
    assert verdict.claims["name"] == "测试"
    assert "card_number" not in verdict.claims


def test_a_proof_names_the_issuer_the_enrolment_and_the_time() -> None:
    device = DeviceKey.generate()
    jws = jose.parse_compact(device.proof(ISSUER, "e1", NOW), typ=PROOF_TYPE)
    assert verify_jws(jws, load_public_key(device.point))
    assert jose.parse_json(jws.payload) == {"aud": ISSUER, "nonce": "e1", "iat": int(NOW.timestamp())}


def test_a_stored_key_is_the_same_key_and_needs_its_passphrase(world: World) -> None:
    device = DeviceKey.generate()
    stored = device.to_pem(b"only for tests")
    assert b"ENCRYPTED" in stored
    again = DeviceKey.from_pem(stored, b"only for tests")
    assert again.point == device.point
    credential = world.compact(world.credential(device))
    assert check(again.offline_code(credential, NOW), world.trust(), world.statuses(), NOW).outcome == "valid"


@pytest.mark.parametrize(("data", "passphrase"), [(b"", None), (b"no PEM", b"x"), (None, b"another one"), (None, None)])
def test_what_is_no_key_of_ours_does_not_open(data: bytes | None, passphrase: bytes | None) -> None:
    stored = DeviceKey.generate().to_pem(b"only for tests") if data is None else data
    with pytest.raises(InvalidInput, match="bad_device_key"):
        DeviceKey.from_pem(stored, passphrase)


def test_a_key_of_another_curve_is_refused() -> None:
    with pytest.raises(InvalidInput, match="bad_device_key"):
        DeviceKey(ec.generate_private_key(ec.SECP384R1()))


def test_the_public_jwk_holds_no_private_member() -> None:
    device = DeviceKey.generate()
    assert device.public_jwk.keys() == {"kty", "crv", "x", "y"}
    assert jose.parse_public_jwk(device.public_jwk) == device.point


def test_a_short_code_lives_a_minute(world: World) -> None:
    device = DeviceKey.generate()
    credential = world.credential(device)
    compact = world.compact(credential)
    code = device.online_code(compact, NOW)

    class Source:
        def get(self, credential_id: bytes, /) -> bytes | None:
            return compact if credential_id == credential.credential_id else None

    def reason(after: timedelta) -> str:
        statuses = world.statuses(issued_at=NOW)
        return check(code, world.trust(), statuses, NOW + after, credentials=Source()).reason

    assert reason(timedelta(seconds=60)) == "ok"
    assert reason(timedelta(minutes=10)) == "code_expired"
    assert reason(-timedelta(minutes=10)) != "ok"
