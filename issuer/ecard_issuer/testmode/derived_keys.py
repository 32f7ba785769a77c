"""Private keys of what a test issuer plays itself, derived from its own secret: the same after a restart, in no file,
and others at another test issuer."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from ecard_keys.protect import Protector

#: Of the group of P-256 (SEC 2 §2.4.2).
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def derived_key(protector: Protector, name: str) -> ec.EllipticCurvePrivateKey:
    """48 bytes reduced modulo the order less one, plus one: no bias worth speaking of (FIPS 186-5 A.2.1)."""
    material = b"".join(protector.mac("test-key", f"{name}/{part}".encode()) for part in range(2))[:48]
    return ec.derive_private_key(int.from_bytes(material, "big") % (_ORDER - 1) + 1, ec.SECP256R1())
