"""How a file is to be read, found out from its beginning: CSV or JSON Lines, encoding, columns."""

from __future__ import annotations

import codecs
import csv
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Final

from ecard_card.errors import InvalidInput
from ecard_issuer.intake.files.columns import fields_of
from ecard_issuer.intake.files.lines import MAX_RECORD, lines

_SAMPLE: Final = 1 << 20
#: U+FEFF at the start of a file, in UTF-8 and in GB18030.
_MARKS: Final = (codecs.BOM_UTF8, b"\x84\x31\x95\x33")
_NAMES: Final = {"utf-8": "utf-8", "utf8": "utf-8", "gbk": "gb18030", "gb2312": "gb18030", "gb18030": "gb18030"}


class FileKind(StrEnum):
    CARDS = "cards"  # each row a card of the physical register
    CHANGES = "changes"  # each row something that happened to a card


@dataclass(frozen=True, slots=True)
class Layout:
    """`columns` are the fields of a CSV file's columns, None for JSON Lines; rows begin at byte `start`."""

    kind: FileKind
    encoding: str
    columns: tuple[str | None, ...] | None
    start: int


def layout_of(file: BinaryIO, kind: FileKind, encoding: str | None = None) -> Layout:
    """Looks at the first mebibyte. Without `encoding` it is UTF-8 if that fits the sample, else GB18030 (with GBK in
    it), whatever mark stands in front.

    Raises `InvalidInput`: `empty_file`, `bad_file_encoding` (unknown, UTF-16, or neither of the two), `bad_columns`.
    """
    file.seek(0)
    sample = file.read(_SAMPLE)
    if sample[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\0" in sample[:4]:
        raise InvalidInput("bad_file_encoding", "UTF-16 or UTF-32: save the file as UTF-8 or GB18030")
    mark = next((mark for mark in _MARKS if sample.startswith(mark)), b"")
    body = sample[len(mark) :]
    if not body.strip():
        raise InvalidInput("empty_file", "nothing is in the file")
    if encoding is not None and encoding.lower() not in _NAMES:
        raise InvalidInput("bad_file_encoding", "known encodings are utf-8, gbk and gb18030")
    named = _NAMES[encoding.lower()] if encoding is not None else _guess(body)
    if body.lstrip()[:1] == b"{":
        return Layout(kind, named, None, len(mark))
    header = next(lines(file, len(mark), quoted=True, complete=True), None)
    if header is None or header.data is None:
        raise InvalidInput("bad_columns", f"the first line is longer than {MAX_RECORD} bytes")
    try:
        (names,) = csv.reader([header.data.decode(named)], strict=True)
    except (csv.Error, UnicodeDecodeError, ValueError):
        raise InvalidInput("bad_columns", "the first line does not name the columns") from None
    return Layout(kind, named, fields_of(names, kind.value), header.offset + header.length)


def _guess(body: bytes) -> str:
    whole = body[: body.rfind(b"\n") + 1] or body  # the sample, or the file, may break off inside of a character
    for name in ("utf-8", "gb18030"):
        if _reads(whole, name):
            return name
    # Somewhere a byte is wrong in both: the header decides, and the rows that cannot be read say so.
    return "utf-8" if _reads(body.partition(b"\n")[0], "utf-8") else "gb18030"


def _reads(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
