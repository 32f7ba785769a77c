"""Base32 with a checksum: upper-case letters and digits that survive a scanner which types.

Base32 is that of RFC 4648 §6 without padding, of the bytes followed by their CRC-16/IBM-3740 (polynomial 0x1021, start
0xFFFF, not reflected, high byte first; of "123456789" it is 29B1). Bytes and texts stand one to one.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

ALPHABET: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
_CRC_SIZE: Final = 2
_CRC_START: Final = 0xFFFF


def encode(data: bytes) -> str:
    """The one text of `data`."""
    return base64.b32encode(data + _crc16(data)).decode("ascii").rstrip("=")


def decode(text: str) -> bytes | None:
    """The bytes of `text`; None for every text that `encode` does not write."""
    try:
        both = base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError:  # foreign characters, or a length that no base32 text has
        return None
    data, crc = both[:-_CRC_SIZE], both[-_CRC_SIZE:]
    # Writing it again also finds padding, set bits after the last byte, and a text too short for a checksum.
    return data if _crc16(data) == crc and encode(data) == text else None


def _crc16(data: bytes) -> bytes:
    return binascii.crc_hqx(data, _CRC_START).to_bytes(_CRC_SIZE, "big")
