"""The arithmetic of a chip's shared-key proof: diversify a card key, compute the answer of INTERNAL AUTHENTICATION.

A *recipe* names one way of doing both, so that a chip profile can state it as data. `ssse-3des-…` follow the published
3DES recipe; recipes with the prefix `test:` are our own choice where no public rule exists, and are for simulated
chips only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4

from ecard_card.errors import ChipFault, InvalidInput

KEY_BYTES = 16
FACTOR_BYTES = 8  # R1, R2, diversification factors and answers alike
HISTORICAL_BYTES = 13  # T1..TD of the answer to reset

_REGION = re.compile(r"[0-9]{6}")
_REGION_SUFFIX = b"sx"  # 省/市 marker that follows the region digits in the region factor


@dataclass(frozen=True, slots=True)
class Recipe:
    """One cipher and the diversification steps that lead from the master key to the card key, in order."""

    cipher: Literal["3des", "sm4"]
    steps: tuple[Literal["region", "card"], ...]


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "ssse-3des-card": Recipe("3des", ("card",)),
        "ssse-3des-region-card": Recipe("3des", ("region", "card")),
        # The national SM4 derivation and fold are not public: this one is ours, for simulated chips.
        "test:ssse-sm4-region-card": Recipe("sm4", ("region", "card")),
    }
)


def recipe_named(name: str) -> Recipe:
    """The recipe of that name; raises `ChipFault` `chip_algorithm_unsupported`."""
    try:
        return RECIPES[name]
    except KeyError:
        raise ChipFault("chip_algorithm_unsupported", "no recipe of that name is known here") from None


def card_key(master_key: bytes, recipe: str, identification_code: str, atr_historical: bytes) -> bytes:
    """The 16-byte internal authentication key (IRK) of one card.

    Region factor: six ASCII region digits and `sx`. Card factor: T8..TD of the historical bytes and two zero bytes.
    Raises `InvalidInput` `bad_chip_key` (master key not 16 bytes) and `ChipFault` `chip_atr_malformed` (not 13
    historical bytes) or `chip_answer_malformed` (no region digits).
    """
    plan = recipe_named(recipe)
    key = _checked_key(master_key)
    if len(atr_historical) != HISTORICAL_BYTES:
        raise ChipFault("chip_atr_malformed", "a card key is diversified from 13 historical bytes")
    if not _REGION.fullmatch(identification_code[:6]):
        raise ChipFault("chip_answer_malformed", "the identification code begins with six region digits")
    factors = {
        "region": identification_code[:6].encode("ascii") + _REGION_SUFFIX,
        "card": atr_historical[7:13] + b"\x00\x00",
    }
    for step in plan.steps:
        factor = factors[step]
        key = _encrypt(plan.cipher, key, factor + _complement(factor))
    return key


def internal_authentication(recipe: str, key: bytes, r1: bytes, r2: bytes) -> bytes:
    """The 8 bytes that a chip with this 16-byte card key answers to R1 (process factor) and R2 (original data).

    3DES: the 8-byte process key is R1 under the card key; the answer is R2 under single DES with the process key.
    Raises `InvalidInput` `bad_chip_key`, or `bad_chip_challenge` where R1 or R2 is not 8 bytes.
    """
    plan = recipe_named(recipe)
    _checked_key(key)
    if len(r1) != FACTOR_BYTES or len(r2) != FACTOR_BYTES:
        raise InvalidInput("bad_chip_challenge", "R1 and R2 are 8 bytes each")
    if plan.cipher == "3des":
        process_key = _encrypt("3des", key, r1)
        return _encrypt("3des", process_key, r2)  # an 8-byte key, repeated thrice, is single DES
    process_key = _encrypt("sm4", key, r1 + _complement(r1))
    block = _encrypt("sm4", process_key, r2 + b"\x80" + bytes(7))
    return bytes(left ^ right for left, right in zip(block[:8], block[8:], strict=True))


def _checked_key(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise InvalidInput("bad_chip_key", "a chip key has 16 bytes")
    return key


def _complement(data: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in data)


def _encrypt(cipher: Literal["3des", "sm4"], key: bytes, blocks: bytes) -> bytes:
    # ECB is what the card's recipe prescribes: single blocks of fresh randoms, never messages.
    algorithm = TripleDES(_three_des_key(key)) if cipher == "3des" else SM4(key)
    encryptor = Cipher(algorithm, modes.ECB()).encryptor()  # noqa: S305
    return encryptor.update(blocks) + encryptor.finalize()


def _three_des_key(key: bytes) -> bytes:
    """8 bytes become single DES (K, K, K), 16 bytes two-key 3DES (K1, K2, K1)."""
    return key * 3 if len(key) == FACTOR_BYTES else key + key[:8]
