"""The signature algorithms of this house, and what each is called in JOSE and COSE."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Algorithm(StrEnum):
    """By their JOSE names. A signature of the first two is raw r||s, 64 bytes; a key is a 65-byte SEC1 point."""

    ES256 = "ES256"  # ECDSA, P-256, SHA-256 (RFC 7518 §3.4)
    SM2 = "SM2"  # SM2 with SM3 (GB/T 32918.2-2016); a name in use, registered nowhere
    ML_DSA_65 = "ML-DSA-65"  # FIPS 204, RFC 9964: root keys only; a signature has 3309 bytes


#: COSE algorithm numbers. -9 is ESP256 (RFC 9864). SM2 has none: one of the private range (below -65536), and never
#: the -48 that an expired draft used, which is ML-DSA-44 now.
COSE_ALGORITHM: Final = {Algorithm.ES256: -9, Algorithm.SM2: -65537, Algorithm.ML_DSA_65: -49}
#: COSE elliptic curves: P-256 (RFC 9053 §7.1); SM2 of the private range.
COSE_CURVE: Final = {Algorithm.ES256: 1, Algorithm.SM2: -65537}
#: JWK `crv`.
JWK_CURVE: Final = {Algorithm.ES256: "P-256", Algorithm.SM2: "SM2"}
