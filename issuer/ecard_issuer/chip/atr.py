"""The answer to reset (ISO 7816-3 §8.2): where its historical bytes are."""

from __future__ import annotations

from ecard_card.errors import ChipFault

MAX_ATR = 33


def historical_bytes(atr: bytes) -> bytes:
    """T1 to TK, cut by parsing T0 and the interface bytes and never by a fixed offset.

    A contact card has `3B 6D 00 00` before them, a contactless one has another, constructed, prefix and a check byte.
    Raises `ChipFault` `chip_atr_malformed`.
    """
    if not 2 <= len(atr) <= MAX_ATR or atr[0] not in (0x3B, 0x3F):
        raise ChipFault("chip_atr_malformed", "want 2 to 33 bytes that begin with 3B or 3F")
    count = atr[1] & 0x0F
    present = atr[1] >> 4  # which of TA, TB, TC, TD follow
    position = 2
    check_byte = False
    while present:
        position += present.bit_count()
        if not present & 0x8:
            break
        if position > len(atr):
            raise ChipFault("chip_atr_malformed", "the answer to reset ends within its interface bytes")
        announced = atr[position - 1]  # TDi: the next group, and a protocol
        check_byte = check_byte or announced & 0x0F != 0
        present = announced >> 4
    end = position + count
    # Some readers leave the check byte off and some append one for T=0: neither moves the historical bytes.
    if end > len(atr) or len(atr) > end + 1:
        raise ChipFault("chip_atr_malformed", "the historical bytes do not fit the answer to reset")
    if check_byte and len(atr) == end + 1:
        total = 0
        for byte in atr[1:]:
            total ^= byte
        if total:
            raise ChipFault("chip_atr_malformed", "the check byte of the answer to reset is wrong")
    return atr[position:end]
