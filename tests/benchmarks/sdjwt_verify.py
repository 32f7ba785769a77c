"""Verifying one SD-JWT with key binding, against the reference package on the very same presentation."""

from __future__ import annotations

from typing import Any

from jwcrypto.jwk import JWK
from sd_jwt.verifier import SDJWTVerifier

from ecard_card import jose, sd_jwt
from ecard_keys.verify import load_public_key, verify
from ecard_sdk.device import DeviceKey
from ecard_verifier.check import check
from ecard_verifier.verdict import Outcome
from tests.benchmarks.measure import per_second, row
from tests.world import NOW, World

AUDIENCE, NONCE = "https://clinic.example", "n-0123456789abcdef"


def run() -> list[dict[str, object]]:
    """Two rows. The first does what the reference does: form, disclosures, both signatures, audience and nonce.

    The second is our whole check, which also judges trust, times, type, status and proof level.
    """
    world = World()
    trust, statuses = world.trust(), world.statuses()
    device = DeviceKey.generate()
    token = world.selective(world.credential(device))
    shown = device.present(token, ["name", "birthdate"], audience=AUDIENCE, nonce=NONCE, now=NOW)
    point = world.credential_key.public
    reference_key = JWK(**jose.public_jwk(point[1:33], point[33:]))
    issuer_key = load_public_key(point)

    def ours() -> None:
        read = sd_jwt.parse(shown)
        binding = sd_jwt.parse_key_binding(read)
        confirmation: Any = read.payload["cnf"]
        device_key = load_public_key(jose.parse_public_jwk(confirmation["jwk"]))
        if not (
            verify(issuer_key, read.issuer_jws.signing_input, read.issuer_jws.signature)
            and verify(device_key, binding.jws.signing_input, binding.jws.signature)
            and (binding.audience, binding.nonce) == (AUDIENCE, NONCE)
            and read.payload["birthdate"] == "1990-01-01"
        ):
            raise AssertionError

    def whole() -> None:
        if check(shown, trust, statuses, NOW, audience=AUDIENCE, nonce=NONCE).outcome is not Outcome.VALID:
            raise AssertionError

    def reference() -> None:
        verified = SDJWTVerifier(shown, lambda issuer, header: reference_key, AUDIENCE, NONCE).get_verified_payload()
        if verified["birthdate"] != "1990-01-01":
            raise AssertionError

    mine, checks, theirs = per_second(ours, whole, reference)
    against = f"sd-jwt 0.10.4 {theirs:.0f}/s"
    return [
        row("sdjwt_verify_reference", mine, "1/s", against, mine / theirs),
        row("sdjwt_whole_check", checks, "1/s", against, checks / theirs),
    ]
