"""Command APDUs and status words as a card sees them (ISO/IEC 7816-4 §5, short and extended length)."""

from __future__ import annotations

from dataclasses import dataclass

SW_DONE = 0x9000
SW_WRONG_LENGTH = 0x6700
SW_INCOMPATIBLE_FILE = 0x6981
SW_SECURITY_NOT_SATISFIED = 0x6982
SW_BLOCKED = 0x6983
SW_CHALLENGE_INVALID = 0x6984
SW_CONDITIONS_NOT_SATISFIED = 0x6985
SW_NO_CURRENT_EF = 0x6986
SW_MAC_WRONG = 0x6988
SW_WRONG_DATA = 0x6A80
SW_FILE_NOT_FOUND = 0x6A82
SW_RECORD_NOT_FOUND = 0x6A83
SW_WRONG_P1_P2 = 0x6A86
SW_KEY_NOT_FOUND = 0x6A88
SW_WRONG_OFFSET = 0x6B00
SW_INS_NOT_SUPPORTED = 0x6D00
SW_CLA_NOT_SUPPORTED = 0x6E00


class Refused(Exception):
    """The card answers with this status word and no data. Never leaves the simulator."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status:04X}")
        self.status = status


def tries_left(count: int) -> Refused:
    """63Cx: authentication failed, `count` tries left."""
    return Refused(0x63C0 | min(count, 15))


@dataclass(frozen=True, slots=True)
class Command:
    """A parsed command APDU. `le` is None where the command asks for no data, 0 where it asks for all there is."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    le: int | None = None
    extended: bool = False

    @property
    def limit(self) -> int:
        """The most data bytes that one answer may carry."""
        if self.le:
            return self.le
        return 65536 if self.extended else 256


def parse_command(raw: bytes) -> Command:
    """Read a command APDU of case 1 to 4; raises `Refused` 6700 where the lengths do not add up."""
    if len(raw) < 4:
        raise Refused(SW_WRONG_LENGTH)
    cla, ins, p1, p2 = raw[:4]
    body = raw[4:]
    if not body:
        return Command(cla, ins, p1, p2)
    if len(body) == 1:
        return Command(cla, ins, p1, p2, le=body[0])
    if body[0]:
        end, extended = 1 + body[0], False
        data, tail, tail_size = body[1:end], body[end:], 1
    elif len(body) == 3:
        return Command(cla, ins, p1, p2, le=int.from_bytes(body[1:3], "big"), extended=True)
    elif len(body) > 3:
        end, extended = 3 + int.from_bytes(body[1:3], "big"), True
        data, tail, tail_size = body[3:end], body[end:], 2
    else:
        raise Refused(SW_WRONG_LENGTH)
    if not data or len(body) < end or len(tail) not in (0, tail_size):
        raise Refused(SW_WRONG_LENGTH)
    le = int.from_bytes(tail, "big") if tail else None
    return Command(cla, ins, p1, p2, data, le, extended)


def tlv(tag: int, value: bytes) -> bytes:
    """One BER-TLV object: tag as its own bytes, length in short form, 81 or 82."""
    head = tag.to_bytes((tag.bit_length() + 7) // 8 or 1, "big")
    size = len(value)
    if size < 0x80:
        return head + bytes([size]) + value
    if size < 0x100:
        return head + bytes([0x81, size]) + value
    return head + b"\x82" + size.to_bytes(2, "big") + value
