"""The card's symmetric cryptography: internal and external authentication, MAC, and key diversification.

A `CipherProfile` is data: which cipher, and the named functions that the public text leaves open. Its id carries
`test:` wherever a function is this simulator's choice and not a published rule.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4

ALGORITHM_3DES = 0x01
ALGORITHM_SM4 = 0x03
KEY_NAMES = ("IRK", "RKSSSE", "UKSSSE", "PUK", "STK")


def triple_des(key: bytes, block: bytes) -> bytes:
    """ECB encryption under an 8-byte (single DES) or 16-byte (two-key 3DES) key."""
    encryptor = Cipher(TripleDES(_des_key(key)), modes.ECB()).encryptor()  # noqa: S305 - the card's own recipe
    return encryptor.update(block) + encryptor.finalize()


def triple_des_decrypt(key: bytes, block: bytes) -> bytes:
    """Inverse of `triple_des`."""
    decryptor = Cipher(TripleDES(_des_key(key)), modes.ECB()).decryptor()  # noqa: S305
    return decryptor.update(block) + decryptor.finalize()


def _des_key(key: bytes) -> bytes:
    return key * 3 if len(key) == 8 else key + key[:8]


def sm4(key: bytes, block: bytes) -> bytes:
    """SM4-ECB encryption (GB/T 32907) under a 16-byte key."""
    encryptor = Cipher(SM4(key), modes.ECB()).encryptor()  # noqa: S305
    return encryptor.update(block) + encryptor.finalize()


def sm4_decrypt(key: bytes, block: bytes) -> bytes:
    """Inverse of `sm4`."""
    decryptor = Cipher(SM4(key), modes.ECB()).decryptor()  # noqa: S305
    return decryptor.update(block) + decryptor.finalize()


def complement(data: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in data)


def pad(data: bytes, size: int) -> bytes:
    """ISO/IEC 9797-1 padding method 2: 80, then zeros up to a multiple of `size`."""
    return data + b"\x80" + bytes(-(len(data) + 1) % size)


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _des_answer(key: bytes, factor: bytes, data: bytes) -> bytes:
    """Process key = 3DES of the factor; answer = single DES of the data under it."""
    return triple_des(triple_des(key, factor), data)


def _des_step(key: bytes, factor: bytes) -> bytes:
    return triple_des(key, factor) + triple_des(key, complement(factor))


def _des_mac(key: bytes, challenge: bytes, data: bytes) -> bytes:
    """ISO/IEC 9797-1 MAC algorithm 3 with the challenge as initial value, first four bytes."""
    state = challenge[:8].ljust(8, b"\0")
    padded = pad(data, 8)
    for start in range(0, len(padded), 8):
        state = triple_des(key[:8], _xor(state, padded[start : start + 8]))
    return triple_des(key[:8], triple_des_decrypt(key[8:16], state))[:4]


def sm4_test_ladder(key: bytes, factor: bytes) -> bytes:
    """`test:sm4-ladder`: SM4(key, factor ‖ complement of factor), 16 bytes."""
    return sm4(key, factor + complement(factor))


def sm4_test_fold(key: bytes, data: bytes) -> bytes:
    """`test:sm4-fold`: SM4 of the padded 8 bytes, both halves XORed into 8 bytes."""
    block = sm4(key, pad(data, 16))
    return _xor(block[:8], block[8:])


def _sm4_answer(key: bytes, factor: bytes, data: bytes) -> bytes:
    return sm4_test_fold(sm4_test_ladder(key, factor), data)


def _sm4_mac(key: bytes, challenge: bytes, data: bytes) -> bytes:
    state = challenge[:16].ljust(16, b"\0")
    padded = pad(data, 16)
    for start in range(0, len(padded), 16):
        state = sm4(key, _xor(state, padded[start : start + 16]))
    return state[:4]


@dataclass(frozen=True, slots=True)
class CipherProfile:
    """A card's cipher as data.

    `answer(key, factor, data)`: the 8-byte value of internal and external authentication. `step(key, factor)`:
    one level of diversification. `mac(key, challenge, data)`: 4 bytes. `decrypt`: one block of a new PIN.
    """

    id: str
    algorithm: int
    block_size: int
    answer: Callable[[bytes, bytes, bytes], bytes]
    step: Callable[[bytes, bytes], bytes]
    mac: Callable[[bytes, bytes, bytes], bytes]
    encrypt: Callable[[bytes, bytes], bytes]
    decrypt: Callable[[bytes, bytes], bytes]


TRIPLE_DES_PROFILE = CipherProfile(
    "test:3des", ALGORITHM_3DES, 8, _des_answer, _des_step, _des_mac, triple_des, triple_des_decrypt
)
SM4_PROFILE = CipherProfile("test:sm4", ALGORITHM_SM4, 16, _sm4_answer, sm4_test_ladder, _sm4_mac, sm4, sm4_decrypt)
CIPHER_PROFILES: Mapping[int, CipherProfile] = {
    profile.algorithm: profile for profile in (TRIPLE_DES_PROFILE, SM4_PROFILE)
}


@dataclass(frozen=True, slots=True)
class CardKeys:
    """The 16-byte keys of one card's SSSE by name. `repr` shows none of them."""

    by_name: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def fresh(cls, random: Callable[[int], bytes] = secrets.token_bytes) -> CardKeys:
        """Keys that no master key leads to."""
        return cls({name: random(16) for name in KEY_NAMES})

    def __getitem__(self, name: str) -> bytes:
        return self.by_name[name]


def card_keys(masters: Mapping[str, bytes], region: str, historical: bytes, algorithm: int) -> CardKeys:
    """One card's keys from master keys by name, region first, then card.

    `region`: six digits; the region factor is their ASCII bytes ‖ `sx`. `historical`: the 13 historical bytes of
    the ATR; the card factor is T8-TD ‖ 0000. The order of the factors is this simulator's choice.
    """
    step = CIPHER_PROFILES[algorithm].step
    region_factor, card_factor = region.encode("ascii") + b"sx", historical[-6:] + b"\0\0"
    return CardKeys({name: step(step(master, region_factor), card_factor) for name, master in masters.items()})
