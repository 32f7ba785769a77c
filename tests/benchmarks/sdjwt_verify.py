"""Verifying one SD-JWT with key binding, against the reference package on the very same presentation."""

from __future__ import annotations

from typing import Any

from jwcrypto.jwk import JWK
from sd_jwt.verifier import SDJWTVerifier

from ecard_card import jose
from ecard_sdk.device import DeviceKey
from ecard_verifier.check import check
from ecard_verifier.verdict import Outcome
from tests.benchmarks.measure import per_second, row
from tests.world import NOW, World

AUDIENCE, NONCE = "https://clinic.example", "n-0123456789abcdef"


def run() -> list[dict[str, object]]:
    """One row. Ours is the whole check (also trust, times, status, assurance); theirs ends after the signatures."""
    world = World()
    trust, statuses = world.trust(), world.statuses()
    device = DeviceKey.generate()
    token = world.selective(world.credential(device))
    shown = device.present(token, ["name", "birthdate"], audience=AUDIENCE, nonce=NONCE, now=NOW)
    point = world.credential_key.public
    issuer_key = JWK(**jose.public_jwk(point[1:33], point[33:]))

    def ours() -> None:
        if check(shown, trust, statuses, NOW, audience=AUDIENCE, nonce=NONCE).outcome is not Outcome.VALID:
            raise AssertionError

    def reference() -> Any:
        verified = SDJWTVerifier(shown, lambda issuer, header: issuer_key, AUDIENCE, NONCE).get_verified_payload()
        if verified["birthdate"] != "1990-01-01":
            raise AssertionError

    checks, theirs = per_second(ours, reference)
    return [row("sdjwt_verify_reference", checks, "1/s", f"sd-jwt 0.10.4 {theirs:.0f}/s", checks / theirs)]
