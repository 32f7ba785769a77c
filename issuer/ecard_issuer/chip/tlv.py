"""BER-TLV (ISO 7816-4 §5.2.2) as chips answer it, and the T-L-V of social security card records.

Everything here comes from a chip or from whoever plays one: bounded, and every defect is a `ChipFault`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ecard_card.errors import ChipFault

MAX_BYTES = 8192
MAX_ITEMS = 64


@dataclass(frozen=True, slots=True)
class Tlv:
    """One element; `tag` is the number its tag bytes spell, e.g. 0x9F0C."""

    tag: int
    value: bytes


def parse(data: bytes) -> tuple[Tlv, ...]:
    """The elements of one level. Tags of 1 to 3 bytes; lengths in the short form or 81, 82.

    Raises `ChipFault` `chip_answer_truncated` (ends within an element, or a length byte is larger than what follows)
    or `chip_answer_malformed` (too big, too many, another form of tag or length).
    """
    if len(data) > MAX_BYTES:
        raise ChipFault("chip_answer_malformed", "an answer of more than 8192 bytes")
    items = []
    position = 0
    while position < len(data):
        if data[position] == 0x00:  # ISO 7816-4 allows zero bytes between elements
            position += 1
            continue
        tag, position = _tag(data, position)
        length, position = _length(data, position)
        value = data[position : position + length]
        if len(value) < length:
            raise ChipFault("chip_answer_truncated", "a length is larger than what follows it")
        items.append(Tlv(tag, value))
        if len(items) > MAX_ITEMS:
            raise ChipFault("chip_answer_malformed", "more than 64 elements on one level")
        position += length
    return tuple(items)


def find(data: bytes, *path: int) -> bytes | None:
    """The value at the end of a path of tags (first match on each level), or None where a tag is absent.

    Raises as `parse` does, for the levels that were entered.
    """
    value = data
    for tag in path:
        found = next((item.value for item in parse(value) if item.tag == tag), None)
        if found is None:
            return None
        value = found
    return value


def require(data: bytes, *path: int) -> bytes:
    """As `find`; raises `ChipFault` `chip_answer_malformed` where a tag of the path is absent."""
    value = find(data, *path)
    if value is None:
        raise ChipFault("chip_answer_malformed", "an expected tag is absent from the answer")
    return value


def parse_record(data: bytes, tag: int) -> bytes:
    """The value of one record: 1-byte tag, 1-byte length, value; what trails it is padding and ignored.

    Raises `ChipFault` `chip_answer_truncated` or, for another tag than the one asked for, `chip_answer_malformed`.
    """
    if len(data) < 2:
        raise ChipFault("chip_answer_truncated", "a record has at least a tag and a length")
    if data[0] != tag:
        raise ChipFault("chip_answer_malformed", "the record carries another tag than the one asked for")
    value = data[2 : 2 + data[1]]
    if len(value) < data[1]:
        raise ChipFault("chip_answer_truncated", "a record's length byte is larger than the answer")
    return value


def encode(tag: int, value: bytes) -> bytes:
    """One element in the shortest length form; for building commands (values up to 65535 bytes)."""
    size = len(value)
    if size < 0x80:
        length = bytes([size])
    elif size < 0x100:
        length = bytes([0x81, size])
    else:
        length = b"\x82" + size.to_bytes(2, "big")
    return tag.to_bytes((tag.bit_length() + 7) // 8 or 1, "big") + length + value


def _bytes_of(data: bytes, position: int) -> Iterator[int]:
    yield from data[position:]
    raise ChipFault("chip_answer_truncated", "the answer ends within a tag or a length")


def _tag(data: bytes, position: int) -> tuple[int, int]:
    following = _bytes_of(data, position)
    first = next(following)
    if first & 0x1F != 0x1F:
        return first, position + 1
    tag = first
    for count, byte in enumerate(following, start=2):
        if count > 3:
            break
        tag = tag << 8 | byte
        if not byte & 0x80:
            return tag, position + count
    raise ChipFault("chip_answer_malformed", "a tag of more than three bytes")


def _length(data: bytes, position: int) -> tuple[int, int]:
    following = _bytes_of(data, position)
    first = next(following)
    if first < 0x80:
        return first, position + 1
    if first == 0x81:
        return next(following), position + 2
    if first == 0x82:
        return next(following) << 8 | next(following), position + 3
    raise ChipFault("chip_answer_malformed", "a length form other than short, 81 or 82")
