"""Issuing as a library: draft and sign one credential in both formats, against the limit of two bare signatures."""

from __future__ import annotations

import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from ecard_card import cwt, sd_jwt
from ecard_sdk.device import DeviceKey
from tests.benchmarks.measure import per_second, row
from tests.world import World

_ECDSA = ec.ECDSA(hashes.SHA256())


def run() -> list[dict[str, object]]:
    """One row: credentials per second, each as SD-JWT VC and CWT, without register and network."""
    world = World()
    credential = world.credential(DeviceKey.generate())
    signer, kid = world.credential_key, world.credential_key.key_id
    private = ec.generate_private_key(ec.SECP256R1())

    def ours() -> None:
        compact = cwt.draft(credential, bytes.fromhex(kid))
        selective = sd_jwt.draft(credential, kid, lambda: secrets.token_bytes(16))
        first, second = signer.sign(kid, [compact.signing_input, selective.signing_input])
        compact.complete(first)
        selective.complete(second)

    def limit() -> None:
        private.sign(b"x" * 200, _ECDSA)
        private.sign(b"x" * 600, _ECDSA)

    issued, limits = per_second(ours, limit)
    return [row("issue_library", issued, "1/s", f"two raw P-256 signatures {limits:.0f}/s", issued / limits)]
