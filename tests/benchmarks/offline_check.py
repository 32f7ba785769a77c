"""Offline checks of `EC1:` codes, against the limit of two bare P-256 verifications of the same signatures."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from ecard_card import cwt
from ecard_keys.verify import load_public_key
from ecard_qr import payload
from ecard_qr.frame import OfflineFrame
from ecard_sdk.device import DeviceKey
from ecard_verifier.check import check
from ecard_verifier.verdict import Outcome
from tests.benchmarks.measure import per_second, row
from tests.world import NOW, World

CODES = 64  # of as many devices: no check may profit from the one before
_ECDSA = ec.ECDSA(hashes.SHA256())


def run() -> list[dict[str, object]]:
    """One row: whole checks per second, from text to verdict, of codes of different holders."""
    world = World()
    trust, statuses = world.trust(), world.statuses()
    issuer_key = load_public_key(world.credential_key.public)
    codes, bare = [], []
    for _ in range(CODES):
        device = DeviceKey.generate()
        code = device.offline_code(world.compact(world.credential(device)), NOW)
        frame = payload.parse(code)
        assert isinstance(frame, OfflineFrame)
        issued = cwt.parse(frame.credential)
        codes.append(code)
        bare.append((issuer_key, _der(issued.signature), issued.signing_input))
        bare.append((load_public_key(device.point), _der(frame.signature), frame.signing_input))

    def ours() -> None:
        for code in codes:
            if check(code, trust, statuses, NOW).outcome is not Outcome.VALID:
                raise AssertionError

    def limit() -> None:
        for key, signature, message in bare:
            key.verify(signature, message, _ECDSA)

    checks, limits = (CODES * rate for rate in per_second(ours, limit, seconds=0.1))
    return [row("offline_check", checks, "1/s", f"two raw P-256 verifications {limits:.0f}/s", checks / limits)]


def _der(signature: bytes) -> bytes:
    return utils.encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
