"""Files of service points: CSV and JSON Lines, UTF-8 or GB18030, read whole with an error for each bad row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_card.region import covers
from ecard_issuer.service_points.points import COLUMNS, ServicePoint, read_point

MAX_BYTES: Final = 64 << 20
MAX_ROWS: Final = 200_000
MAX_ROW: Final = 8192
ENCODINGS: Final = ("utf-8", "gb18030")
#: Errors that are told one by one; beyond these they are counted.
MAX_ERRORS: Final = 100
_BOM: Final = b"\xef\xbb\xbf"


class Format(StrEnum):
    """What a file is written in."""

    CSV = "csv"
    JSON_LINES = "jsonl"


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that cannot be taken. `row` counts data rows from 1; `code` has a text, `detail` names the member."""

    row: int
    code: str
    detail: str

    def to_json(self) -> dict[str, object]:
        return {"row": self.row, "code": self.code, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class ReadSet:
    """What a file holds. `wrong` counts bad rows, `errors` tells the first of them."""

    points: tuple[ServicePoint, ...]
    errors: tuple[RowError, ...]
    wrong: int


def read_file(content: bytes, form: Format, scope: str, encoding: str | None = None) -> ReadSet:
    """Every row of a file for `scope`, a region. Raises `InvalidInput` `bad_points_file` where it cannot be read as a
    whole: too large, in neither encoding, without the columns. Without `encoding` it is UTF-8 if it can be, else
    GB18030."""
    if len(content) > MAX_BYTES:
        raise InvalidInput("bad_points_file", "larger than 64 MiB")
    text = _decoded(content, encoding)
    return read_rows(_csv_rows(text) if form is Format.CSV else _json_rows(text), scope)


def read_rows(rows: Iterable[dict[str, Any] | InvalidInput], scope: str) -> ReadSet:
    """The same for rows, of which some may already be known as bad."""
    points: dict[str, ServicePoint] = {}
    errors: list[RowError] = []
    wrong = 0
    for number, row in enumerate(rows, 1):
        if number > MAX_ROWS:
            raise InvalidInput("bad_points_file", f"more than {MAX_ROWS} rows")
        try:
            point = _taken(row, points, scope)
            points[point.point_id] = point
        except InvalidInput as error:
            wrong += 1
            if len(errors) < MAX_ERRORS:
                errors.append(RowError(number, error.code, error.detail))
    return ReadSet(tuple(points.values()), tuple(errors), wrong)


def _taken(row: dict[str, Any] | InvalidInput, known: dict[str, ServicePoint], scope: str) -> ServicePoint:
    if isinstance(row, InvalidInput):
        raise row
    point = read_point(row)
    if point.point_id in known:
        raise InvalidInput("bad_service_point", "point_id: stands in the file twice")
    if not covers(scope, point.region):
        raise InvalidInput("bad_service_point", "region: outside of what is replaced")
    return point


def write_file(points: Sequence[ServicePoint], form: Format, *, encoding: str = "utf-8") -> bytes:
    """The file that reads as these points."""
    if form is Format.JSON_LINES:
        return b"".join(jose.dump_json(point.to_row()) + b"\n" for point in points)
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(point.to_row() for point in points)
    return out.getvalue().encode(encoding)


def _decoded(content: bytes, encoding: str | None) -> str:
    bare = content.removeprefix(_BOM)
    for name in (encoding,) if encoding else ("utf-8",) if bare != content else ENCODINGS:
        try:
            return bare.decode(name)
        except UnicodeDecodeError:
            continue
    raise InvalidInput("bad_points_file", "neither UTF-8 nor GB18030")


def _csv_rows(text: str) -> Iterator[dict[str, Any] | InvalidInput]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not {"point_id", "kind", "region", "name_zh", "address_zh"} <= set(header):
            raise InvalidInput("bad_points_file", "the first line names the columns, and some are missing")
        if len(set(header)) != len(header) or not set(header) <= set(COLUMNS):
            raise InvalidInput("bad_points_file", "a column twice, or one that is not known")
        for row in reader:
            if len(row) > len(header):
                yield InvalidInput("bad_service_point", "columns: more than the first line names")
            elif any(row):
                yield dict(zip(header, row, strict=False))
    except csv.Error:
        raise InvalidInput("bad_points_file", f"no CSV from line {reader.line_num} on") from None


def _json_rows(text: str) -> Iterator[dict[str, Any] | InvalidInput]:
    for line in text.split("\n"):
        if line.strip():
            yield _json_row(line)


def _json_row(line: str) -> dict[str, Any] | InvalidInput:
    try:
        row = jose.parse_json(line.encode(), limit=MAX_ROW, max_depth=1)
    except InvalidInput:
        return InvalidInput("bad_service_point", "columns: not one JSON object of texts")
    if not isinstance(row, dict):
        return InvalidInput("bad_service_point", "columns: not one JSON object of texts")
    return row
