"""Hours, coordinates, rows and files of service points: what reads, what is refused, and that both ways agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.errors import EcardError, InvalidInput
from ecard_issuer.service_points.files import Format, read_file, write_file
from ecard_issuer.service_points.geography import Datum, Place, distance, in_gcj02
from ecard_issuer.service_points.hours import Hours, read_hours
from ecard_issuer.service_points.points import COLUMNS, read_point
from tests.issuer.service_points.samples import ROWS, points

SPANS = st.lists(st.integers(0, 1440), min_size=2, max_size=6, unique=True).map(
    lambda edges: tuple(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
)


@contextmanager
def expected(code: str) -> Iterator[None]:
    """Nothing is raised but our error of that code."""
    try:
        yield
    except InvalidInput as error:
        if error.code != code:
            raise


def code_of(caught: pytest.ExceptionInfo[EcardError]) -> str:
    return caught.value.code


@given(st.tuples(*[st.one_of(st.just(()), SPANS)] * 7))
def test_hours_read_back_as_they_were(days: tuple[tuple[tuple[int, int], ...], ...]) -> None:
    hours = Hours(days)
    text = hours.text()
    if len(text) <= 200:
        assert read_hours(text) == hours


@given(st.text(max_size=60))
@settings(max_examples=200)
def test_any_text_gives_hours_or_our_error(text: str) -> None:
    with expected("bad_opening_hours"):
        read_hours(text)


@pytest.mark.parametrize(
    "text", ["8 09:00-12:00", "1 9:00-12:00", "1 12:00-09:00", "1-5", "1 09:00-12:00 11:00-13:00", "1 24:00-24:30"]
)
def test_hours_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_hours(text)
    assert code_of(caught) == "bad_opening_hours"
    with pytest.raises(InvalidInput):
        read_hours("1 09:00-12:00; 1 13:00-14:00")
    with pytest.raises(InvalidInput):
        read_hours("5-3 09:00-12:00")


def test_open_is_by_chinas_clock_and_a_break_is_closed() -> None:
    hours = read_hours("1-5 09:00-12:00 13:30-17:00")
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    assert [hours.is_open(monday.replace(hour=h, minute=m)) for h, m in ((0, 59), (1, 0), (4, 0), (5, 30), (9, 0))] == [
        False,
        True,
        False,  # 12:00
        True,
        False,  # 17:00
    ]
    assert not hours.is_open(datetime(2026, 11, 27, 17, 0, tzinfo=UTC))  # Saturday there, Friday here


@given(st.floats(18, 53), st.floats(74, 135))
@settings(max_examples=100)
def test_gcj02_and_back_is_the_same_place_within_a_metre(latitude: float, longitude: float) -> None:
    place = Place(latitude, longitude)
    shifted = in_gcj02(place)
    assert 0 < distance(place, Place(shifted.latitude, shifted.longitude)) < 1500
    assert distance(place, shifted.wgs84()) < 1


def test_distances_are_those_of_the_globe() -> None:
    beijing, shanghai = Place(39.9042, 116.4074), Place(31.2304, 121.4737)
    assert distance(beijing, shanghai) == pytest.approx(1_067_300, rel=0.002)
    assert distance(Place(0, 0), Place(0, 180)) == pytest.approx(20_015_115, rel=0.001)
    assert in_gcj02(Place(51.5, -0.1)) == Place(51.5, -0.1, Datum.GCJ02)
    with pytest.raises(InvalidInput):
        Place(float("nan"), 0)


@pytest.mark.parametrize("form", list(Format))
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-8-sig"])
def test_a_file_reads_back_as_it_was_written(form: Format, encoding: str) -> None:
    content = write_file(points(), form).decode().encode(encoding)
    read = read_file(content, form, "410000")
    assert read.points == tuple(points())
    assert (read.errors, read.wrong) == ((), 0)


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("point_id", "ZZ Hall", "bad_service_point"),
        ("kind", "大厅", "bad_service_point"),
        ("region", "4101", "bad_service_point"),
        ("region", "330100", "bad_service_point"),  # outside of the scope
        ("name_zh", "", "bad_service_point"),
        ("name_zh", "右到左\u202e", "bad_service_point"),
        ("telephone", "<script>", "bad_service_point"),
        ("services", "pin_change pin_change", "bad_service_point"),
        ("hours", "每天", "bad_opening_hours"),
        ("latitude", "91", "bad_coordinates"),
        ("latitude", "", "bad_coordinates"),
        ("latitude", "nan", "bad_coordinates"),
        ("datum", "bd09", "bad_service_point"),
    ],
)
def test_a_wrong_row_is_named_and_the_others_are_read(member: str, value: str, code: str) -> None:
    content = write_file(points(), Format.JSON_LINES).decode().splitlines()
    row = json.loads(content[0]) | {member: value}
    lines = [json.dumps(row, ensure_ascii=False), *content[1:], "[1]", "{"]
    read = read_file("\n".join(lines).encode(), Format.JSON_LINES, "410000")
    assert [(error.row, error.code) for error in read.errors] == [
        (1, code),
        (6, "bad_service_point"),
        (7, "bad_service_point"),
    ]
    assert len(read.points) == len(points()) - 1


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\r\n1,2", b'point_id,"kind', b"\xef\xbb\xbf\xff", b"point_id,kind,region,name_zh,address_zh,x\r\n"],
)
def test_a_file_that_is_none_is_refused_as_a_whole(content: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_file(content, Format.CSV, "000000")
    assert code_of(caught) == "bad_points_file"


@given(st.binary(max_size=300), st.sampled_from(list(Format)))
@settings(max_examples=200)
def test_any_bytes_give_rows_or_our_error(content: bytes, form: Format) -> None:
    with expected("bad_points_file"):
        read_file(content, form, "000000")


def test_a_csv_row_may_be_short_and_not_long() -> None:
    header = b"point_id,kind,region,name_zh,address_zh,telephone\r\n"
    read = read_file(
        header + b"a,outlet,410100,x,y\r\nb,outlet,410100,x,y,1234,more\r\n,,,,,\r\n", Format.CSV, "000000"
    )
    assert [point.point_id for point in read.points] == ["a"]
    assert [error.row for error in read.errors] == [2]


def test_every_column_has_a_place_in_a_row() -> None:
    assert tuple(read_point(ROWS[0]).to_row()) == COLUMNS
