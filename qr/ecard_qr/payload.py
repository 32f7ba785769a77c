"""Code text <-> frame: what a picture carries and what a scanner hands over.

* `EC1:` + Base45 (RFC 9285) of the frame: whole, verifies offline, for cameras and imagers.
* `EC0:` + base32 (RFC 4648 §6, upper case, no padding) of frame || CRC-16: short, resolved online. It uses only
  `0-9 A-Z :`, so a scanner that types can send it; the checksum names a dropped or doubled character.

Every frame has one text. `decode` is strict: bytes <-> text is one to one. `parse` is what a counter calls: it also
forgives what scanners and input methods do to a good code (surrounding white space; for EC0 lower case and
full-width letters), and reads the frame.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from ecard_card.errors import InvalidInput
from ecard_qr import base45, checked32
from ecard_qr.frame import OfflineFrame, OnlineFrame, parse_offline, parse_online

MAX_TEXT: Final = 4096

_BASE45: Final = frozenset(base45.ALPHABET)
# Full-width forms U+FF01..U+FF5E stand for ASCII 0x21..0x7E; then a-z for A-Z. No other folding: str.upper()
# would also make letters out of characters that no keyboard sends for them.
_REPAIR: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_REPAIR.update({code: code - 0x20 for code in range(ord("a"), ord("z") + 1)})
_REPAIR.update({code + 0xFEE0: code - 0x20 for code in range(ord("a"), ord("z") + 1)})


class Form(StrEnum):
    """The two text forms; the value is the prefix."""

    OFFLINE = "EC1:"
    ONLINE = "EC0:"


def to_text(frame: bytes, form: Form) -> str:
    """The one text of a frame. Raises `InvalidInput` `bad_code` when it would exceed 4096 characters."""
    text = form.value + (base45.encode(frame) if form is Form.OFFLINE else checked32.encode(frame))
    if len(text) > MAX_TEXT:
        raise InvalidInput("bad_code", "the frame is too long for a code")
    return text


def decode(text: str) -> tuple[Form, bytes]:
    """The exact inverse of `to_text`; forgives nothing and does not look into the frame.

    Raises `InvalidInput`: `unreadable_code` (no prefix of ours, foreign characters, over 4096 characters),
    `code_damaged` (our prefix and characters, but not as any code is written: lost, doubled or changed characters).
    """
    if len(text) > MAX_TEXT:
        raise InvalidInput("unreadable_code", "longer than any code")
    prefix, body = text[:4], text[4:]
    if prefix == Form.OFFLINE:
        frame, alphabet = _from_base45(body), _BASE45
    elif prefix == Form.ONLINE:
        frame, alphabet = checked32.decode(body), checked32.ALPHABET
    else:
        raise InvalidInput("unreadable_code", "starts like no code of ours")
    if frame is None and alphabet.issuperset(body):
        raise InvalidInput("code_damaged", "characters of the code are lost, doubled or changed")
    if frame is None:
        raise InvalidInput("unreadable_code", "a character that no code of this form has")
    return Form(prefix), frame


def parse(text: str) -> OfflineFrame | OnlineFrame:
    """Read what a scanner handed over. No signature is checked.

    White space around the text is dropped (scanners add Enter; no code ends in a space). EC0 may arrive in lower
    or mixed case and in full-width characters; EC1 may not, as its alphabet could not tell all repairs apart from
    damage. Raises `InvalidInput`: `unreadable_code`, `code_damaged` (see `decode`), `bad_code` (not our frame).
    """
    if len(text) > MAX_TEXT:
        raise InvalidInput("unreadable_code", "longer than any code")
    text = text.strip()
    if not text.startswith(Form.OFFLINE) and not (text.isascii() and text.isupper()):
        text = text.translate(_REPAIR)
        if text.startswith(Form.OFFLINE):
            raise InvalidInput("unreadable_code", "an EC1 code with its case or width changed")
    form, frame = decode(text)
    return parse_offline(frame) if form is Form.OFFLINE else parse_online(frame)


def _from_base45(body: str) -> bytes | None:
    try:
        return base45.decode(body)
    except InvalidInput:
        return None
