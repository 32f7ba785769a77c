"""The rows of a file as texts by field, each with its number and place; what cannot be read carries a code instead."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from ecard_card.errors import InvalidInput
from ecard_card.jose import parse_json
from ecard_issuer.intake.files.columns import FIELD_OF
from ecard_issuer.intake.files.layout import Layout
from ecard_issuer.intake.files.lines import MAX_RECORD, lines

#: The longest text in one field; all that we know are far shorter.
MAX_FIELD: Final = 4096


@dataclass(slots=True)  # made once a row
class Row:
    """Row `number` (from 1, the header not counted) at byte `offset`. `code` says why `fields` is empty."""

    number: int
    offset: int
    length: int
    fields: Mapping[str, str] = field(repr=False)
    code: str = ""
    cut: bool = False  # the file ends inside of this row

    @property
    def end(self) -> int:
        """The byte behind it."""
        return self.offset + self.length


def rows(
    file: BinaryIO, layout: Layout, *, offset: int | None = None, number: int = 0, complete: bool = False
) -> Iterator[Row]:
    """The rows from `offset` on (by default all), the first of which has `number` + 1.

    A row without its line end is the last, marked as `cut` and not read, unless the file is said to be `complete`.
    Codes: `row_too_long`, `bad_row_encoding`, `bad_row`.
    """
    start = layout.start if offset is None else offset
    for line in lines(file, start, quoted=layout.columns is not None, complete=complete):
        number += 1
        row = Row(number, line.offset, line.length, {})
        if line.data is None:
            row.code = "row_too_long"
        elif not line.ended:
            row.cut = True
        else:
            _read(row, line.data, layout)
        yield row


def _read(row: Row, data: bytes, layout: Layout) -> None:
    if b"\0" in data:
        row.code = "bad_row"
        return
    try:
        text = data.decode(layout.encoding)
    except UnicodeDecodeError:
        row.code = "bad_row_encoding"
        return
    fields = _json(text) if layout.columns is None else _csv(text, layout.columns)
    if fields is None or any(len(value) > MAX_FIELD for value in fields.values()):
        row.code = "bad_row"
    else:
        row.fields = fields


def _csv(text: str, columns: tuple[str | None, ...]) -> Mapping[str, str] | None:
    """None where it does not have as many fields as the header, or its quotes are wrong."""
    if '"' in text:
        try:
            read = list(csv.reader([text], strict=True))
        except csv.Error:
            return None
        if len(read) != 1:
            return None
        (values,) = read
    else:
        values = text.split(",")
    if len(values) != len(columns):
        return None
    return {name: value.strip() for name, value in zip(columns, values, strict=True) if name and value}


def _json(text: str) -> Mapping[str, str] | None:
    """An object of texts and whole numbers; nulls are as if they were not there."""
    try:
        value = parse_json(text.encode(), limit=MAX_RECORD * 2, max_depth=1, max_items=256)
    except (InvalidInput, UnicodeEncodeError):
        return None
    if not isinstance(value, dict):
        return None
    fields: dict[str, str] = {}
    for name, member in value.items():
        known = FIELD_OF.get("".join(name.split()).upper())
        if known is None or member is None:
            continue
        if known in fields or not (isinstance(member, str) or type(member) is int):
            return None
        fields[known] = str(member).strip()
    return fields
