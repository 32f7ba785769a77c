"""Reading files: encodings, quotes, what is too long, what is cut; whatever comes in, only our codes come out."""

from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.errors import InvalidInput
from ecard_card.jose import dump_json
from ecard_issuer.intake.files.layout import FileKind, layout_of
from ecard_issuer.intake.files.lines import MAX_RECORD, lines
from ecard_issuer.intake.files.meaning import card_of, change_of
from ecard_issuer.intake.files.rows import Row, rows
from tests.contracts.register_world import refused
from tests.issuer.intake.files import CHANGES, HEADER, card_row, change_row


def read(
    data: bytes, kind: FileKind = FileKind.CARDS, encoding: str | None = None, *, complete: bool = False
) -> list[Row]:
    file = io.BytesIO(data)
    return list(rows(file, layout_of(file, kind, encoding), complete=complete))


def text(*lines: str, end: str = "\n") -> str:
    return "".join(line + end for line in (HEADER, *lines))


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\x84\x31\x95\x33"], ids=["none", "utf8", "gb18030"])
@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_marks_and_line_ends_give_the_same_rows(mark: bytes, encoding: str, end: str) -> None:
    body = text(card_row(1, name="张三"), card_row(2, name='"李""四"'), end=end)
    first, second = read(mark + body.encode(encoding))
    assert card_of(first.fields, "x").card.holder.name == "张三"
    assert second.fields["name"] == '李"四'
    assert (first.number, second.number) == (1, 2)


def test_rare_characters_of_names_survive_gb18030() -> None:
    name = "𠮷野㐂\ue000"  # beyond the basic plane, an extension, a private use area
    (row,) = read(text(card_row(1, name=name)).encode("gb18030"))
    assert card_of(row.fields, "x").card.holder.name == name


def test_quotes_may_hold_commas_and_line_ends() -> None:
    row, after = read(text(card_row(1, name='"a,\r\nb"'), card_row(2)).encode())
    assert row.fields["name"] == "a,\r\nb"
    with refused(InvalidInput, "bad_name"):
        card_of(row.fields, "x")
    assert after.fields["name"] == "测试2"
    assert after.offset == row.end


def test_columns_are_found_by_any_of_their_names_in_any_order() -> None:
    head = "AAC003, 卡号 ,社会保障号码,aaz501,name_of_no_use,ISSUED_ON,有效期至,AAZ507"
    code, number, person, *_ = card_row(5).split(",")
    row = f"王五,{number},{person},{code},x,2024/01/02,20340102,{'00' * 13}"
    (read_row,) = read(f"{head}\n{row}\n".encode())
    record = card_of(read_row.fields, "x")
    assert record.card.chip.atr_historical == bytes(13)
    assert record.card.issued_on.isoformat() == "2024-01-02"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ("AAZ501,卡识别码,AAZ500,AAC002,AAC003,发卡日期,卡有效期", FileKind.CARDS),
        ("AAZ501,AAC002", FileKind.CARDS),
        ("姓名", FileKind.CHANGES),
        ("卡号,业务类型,序号,业务时间", FileKind.CHANGES),
        ('"', FileKind.CARDS),
        ("x" * (MAX_RECORD + 1), FileKind.CARDS),
    ],
)
def test_a_file_without_the_right_columns_is_refused(head: str, kind: FileKind) -> None:
    with refused(InvalidInput, "bad_columns"):
        read(f"{head}\n1,2\n".encode(), kind)


def test_a_file_that_is_no_text_is_refused() -> None:
    for data, code in ((b"", "empty_file"), (b"\xef\xbb\xbf \n", "empty_file"), (b"\xff\xfea\0", "bad_file_encoding")):
        with refused(InvalidInput, code):
            read(data)
    with refused(InvalidInput, "bad_file_encoding"):
        read(text(card_row(1)).encode(), encoding="utf-7")


def test_json_lines_are_read_like_csv() -> None:
    fields = dict(zip(HEADER.split(","), card_row(3).split(","), strict=True))
    body = dump_json(fields | {"AAZ502": 1, "other": [1], "AAZ507": None})
    assert [row.code for row in read(body + b"\n")] == ["bad_row"]  # nothing of ours is nested
    good = dump_json(fields | {"AAZ502": 2, "AAZ507": None})
    (row,) = read(good + b"\n\n")
    assert int(card_of(row.fields, "x").status) == 2


def test_wrong_json_is_one_wrong_row() -> None:
    good = dump_json(dict(zip(HEADER.split(","), card_row(3).split(","), strict=True)))
    wrong = (b"[]", b"null", b"{", b'{"a":1,"a":2}', b'{"AAC003":1.5}', b'{"AAC003":"x","name":"y"}', b'{"AAC003":NaN}')
    found = read(b"\n".join((good, *wrong, good)) + b"\n")
    assert [row.code for row in found] == ["", *["bad_row"] * len(wrong), ""]


def test_one_wrong_row_does_not_spoil_its_neighbours() -> None:
    bad = (
        b"too,few",
        b"nul\0" + card_row(9).encode(),
        b"x" * (5 << 20),
        card_row(9).encode() + b',"',
        "测试".encode() + b"\xff,,,,,,",
    )
    body = text().encode() + b"".join(card_row(n).encode() + b"\n" + line + b"\n" for n, line in enumerate(bad))
    found = read(body + b"".join(card_row(n).encode() + b"\n" for n in range(20, 2000)))
    codes = [row.code for row in found if row.code]
    assert sorted(codes) == sorted(["bad_row", "bad_row", "row_too_long", "row_too_long", "bad_row_encoding"])
    assert len(found) == 5 + 5 + 1980
    assert all(row.fields["status"] == "1" for row in found if not row.code)


def test_a_file_that_breaks_off_is_read_to_its_last_whole_row() -> None:
    body = text(card_row(1), card_row(2)).encode()
    for cut in range(len(text(card_row(1)).encode()) + 1, len(body)):
        *whole, last = read(body[:cut])
        assert (len(whole), last.cut, last.fields) == (1, True, {})
    assert [row.cut for row in read(body)] == [False, False]
    assert read(body[:-1], complete=True)[-1].fields["expires_on"] == "2034-01-02"


def test_a_file_that_breaks_off_inside_of_quotes_is_cut() -> None:
    body = text(card_row(1), card_row(2, name='"a')).encode()
    assert [row.cut for row in read(body)] == [False, True]
    assert [row.code for row in read(body, complete=True)] == ["", "row_too_long"]


def test_a_line_of_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("wb") as file:
        file.write(HEADER.encode() + b"\n")
        for _ in range(48):
            file.write(b"x" * (1 << 20))
        file.write(b"\n" + card_row(1).encode() + b"\n")
    tracemalloc.start()
    with path.open("rb") as file:
        found = [row.code for row in rows(file, layout_of(file, FileKind.CARDS))]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == ["row_too_long", ""]
    assert peak < 12 << 20


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(FileKind), st.booleans())
def test_whatever_comes_in_only_our_errors_come_out(data: bytes, kind: FileKind, headed: bool) -> None:
    header = {FileKind.CARDS: HEADER, FileKind.CHANGES: CHANGES}[kind].encode() + b"\n"
    body = header + data if headed else data
    try:
        found = read(body, kind)
    except InvalidInput as error:
        found = []
        assert error.code in ("empty_file", "bad_columns", "bad_file_encoding")  # noqa: PT017
    for row in found:
        assert row.code in ("", "bad_row", "bad_row_encoding", "row_too_long")
        if not row.code and not row.cut:
            _means(row, kind)


def _means(row: Row, kind: FileKind) -> None:
    try:
        card_of(row.fields) if kind is FileKind.CARDS else change_of(row.fields, "s")
    except InvalidInput:
        pass


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.text(max_size=12), min_size=3, max_size=3), min_size=1, max_size=8),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_writer_of_csv_writes_is_read_as_it_was_meant(table: list[list[str]], end: str) -> None:
    """Against Python's own writer and reader, as long as there are no lone carriage returns."""
    table = [[cell.replace("\r", "").replace("\0", "") for cell in line] for line in table]
    table = [line for line in table if "".join(line).strip()] or [["a", "b", "c"]]
    out = io.StringIO()
    csv.writer(out, lineterminator=end).writerows(table)
    data = out.getvalue().encode("utf-8", "surrogatepass")
    found = [line.data for line in lines(io.BytesIO(data), 0, quoted=True)]
    assert [next(csv.reader([piece.decode("utf-8", "surrogatepass")])) for piece in found if piece is not None] == table
    assert sum(line.length for line in lines(io.BytesIO(data), 0, quoted=True)) == len(data)


def test_changes_name_times_of_china_and_chinese_changes() -> None:
    lines = (change_row(1, "正式挂失", 7, "20261120080000"), change_row(1, "release", 8, "2026-11-20T00:00:00Z"))
    body = "\n".join((CHANGES, *lines, ""))
    lost, found = (change_of(row.fields, "s") for row in read(body.encode(), FileKind.CHANGES))
    assert lost.occurred_at == found.occurred_at
    assert (lost.change.value, lost.sequence, found.change.value) == ("report_loss", 7, "release")
    assert lost.event_id != found.event_id


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"change": "explode"}, "unknown_card_change"),
        ({"change": ""}, "row_field_missing"),
        ({"sequence": "0"}, "bad_card_sequence"),
        ({"sequence": "-1"}, "bad_row_field"),
        ({"sequence": "９"}, "bad_row_field"),
        ({"sequence": "9" * 16}, "bad_card_sequence"),
        ({"occurred_at": "yesterday"}, "bad_row_field"),
        ({"occurred_at": "0001-01-01 00:00:00"}, "bad_row_field"),
        ({"identification_code": "x"}, "bad_identification_code"),
        ({"change": "replace"}, "row_field_missing"),
    ],
)
def test_a_change_that_cannot_be(changed: dict[str, str], code: str) -> None:
    fields = dict(
        zip(
            ["identification_code", "change", "sequence", "occurred_at"],
            change_row(1, "lock", 1).split(","),
            strict=True,
        )
    )
    with refused(InvalidInput, code):
        change_of(fields | changed, "s")
