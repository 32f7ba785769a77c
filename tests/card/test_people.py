"""Numbers, names, documents and ages of people, in the forms that come."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.age import birthday, comes_of_age, is_under, require_born
from ecard_card.card import Holder, IdNumber, NumberKind, id_number_check
from ecard_card.china import china_date
from ecard_card.errors import InvalidInput
from ecard_card.identity_document import DocumentKind, IdentityDocument, as_typed, number_of
from ecard_card.life import LifeStatus
from ecard_card.person_name import as_written, chip_name, same_name
from tests.card.support import brief, only_our_errors, refused


def numbered(body: str) -> str:
    return body + id_number_check(body)


@pytest.mark.parametrize(
    ("text", "kind", "born"),
    [
        ("11010519491231002X", NumberKind.CITIZEN, date(1949, 12, 31)),  # GB 11643
        (numbered("81000019900101001"), NumberKind.HONG_KONG, date(1990, 1, 1)),
        (numbered("82000019900101001"), NumberKind.MACAO, date(1990, 1, 1)),
        (numbered("83000019900101001"), NumberKind.TAIWAN, date(1990, 1, 1)),
        ("932682198501010017", NumberKind.FOREIGN_RESIDENT, date(1985, 1, 1)),
        ("911124198108030024", NumberKind.FOREIGN_RESIDENT, date(1981, 8, 3)),
        ("USA000000H12345678", NumberKind.FOREIGN, None),
    ],
)
def test_the_form_of_a_number_tells_whose_it_is(text: str, kind: NumberKind, born: date | None) -> None:
    number = IdNumber(text if kind is NumberKind.FOREIGN else numbered(text[:17]))
    assert (number.kind, number.birth_date) == (kind, born)


@pytest.mark.parametrize(
    "text",
    [
        "932682198501010018",
        "USA00000000000000X"[:17],
        "USA000000000000000",  # no document number in it
        "usa000000H12345678",
        "USAX00000H12345678",
        "US0000000H12345678",
        "810000199002300015",
        "110105194912310021",
        "110105491231002",  # 15 digits, of before 1999
    ],
    ids=brief,
)
def test_other_numbers_are_refused(text: str) -> None:
    refused(lambda: IdNumber(text), "bad_id_number")


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(0, 999), st.integers(0, 10))
def test_a_wrong_check_character_is_always_seen(born: date, serial: int, slip: int) -> None:
    body = f"410105{born:%Y%m%d}{serial:03d}"
    right = id_number_check(body)
    wrong = "0123456789X"[slip]
    assert IdNumber(body + right).birth_date == born
    if wrong != right:
        refused(lambda: IdNumber(body + wrong), "bad_id_number")


@pytest.mark.parametrize(
    ("kind", "number", "country", "expected"),
    [
        ("01", "11010519491231002x", None, "11010519491231002X"),
        ("01", "１１０１０５ 19491231 002Ｘ", None, "11010519491231002X"),
        ("04", numbered("81000019900101001"), None, numbered("81000019900101001")),
        ("04", "H1234567801", None, "HKG000000H12345678"),
        ("05", "m12345678", None, "MAC000000M12345678"),
        ("06", "12345678", None, "TWN000000012345678"),
        ("07", "932682198501010017", None, "932682198501010017"),
        ("07", "FRA110185010112", None, "FRA000110185010112"),
        ("08", "g12345678", "DEU", "DEU000000G12345678"),
        ("02", "军字第1234567号", None, None),
        ("03", "武字第7654321号", None, None),
    ],
)
def test_what_number_follows_from_a_document(kind: str, number: str, country: str | None, expected: str | None) -> None:
    document = IdentityDocument(DocumentKind(kind), as_typed(number), country)
    own = document.id_number
    assert (own.text if own else None) == expected
    citizen = IdNumber("11010519491231002X")
    if own is None:
        assert number_of(document, citizen) == citizen
        refused(lambda: number_of(document, None), "id_number_needed")
        refused(lambda: number_of(document, IdNumber("USA000000H12345678")), "id_number_differs")
    else:
        assert number_of(document, None) == own
        if own != citizen:
            refused(lambda: number_of(document, citizen), "id_number_differs")


def test_the_reserved_digit_tells_two_people_of_one_number_apart() -> None:
    document = IdentityDocument(DocumentKind.PASSPORT, "G12345678", "DEU")
    assert number_of(document, IdNumber("DEU100000G12345678")).text == "DEU100000G12345678"


@pytest.mark.parametrize(
    ("kind", "number", "country", "code"),
    [
        ("01", numbered("81000019900101001"), None, "bad_document_number"),  # a permit is of types 04 to 06
        ("01", "932682198501010017", None, "bad_document_number"),
        ("01", "110105194912310020", None, "bad_id_number"),
        ("04", numbered("83000019900101001"), None, "bad_document_number"),
        ("05", "H12345678", None, "bad_document_number"),
        ("07", "11010519491231002X", None, "bad_document_number"),
        ("08", "G12345678", None, "bad_country"),
        ("08", "G12345678", "DE", "bad_country"),
        ("08", "0000000", "DEU", "bad_document_number"),
        ("01", "11010519491231002X", "CHN", "bad_country"),
        ("02", "", None, "bad_document_number"),
    ],
)
def test_a_document_of_another_kind_is_refused(kind: str, number: str, country: str | None, code: str) -> None:
    refused(lambda: IdentityDocument(DocumentKind(kind), number, country), code)


@given(st.sampled_from(DocumentKind), st.text(max_size=40), st.none() | st.text(max_size=4))
def test_only_our_errors_leave_a_document(kind: DocumentKind, number: str, country: str | None) -> None:
    def read() -> None:
        document = IdentityDocument(kind, as_typed(number), country)
        assert document.id_number is None or len(document.id_number.text) == 18

    only_our_errors(read)


def test_a_birth_date_is_given_only_where_the_number_does_not_tell_it() -> None:
    foreign, citizen = IdNumber("USA000000H12345678"), IdNumber("11010519491231002X")
    assert Holder(foreign, "A", date(1990, 1, 1)).birth_date == date(1990, 1, 1)
    assert Holder(foreign, "A").birth_date is None
    assert Holder(citizen, "A", date(1949, 12, 31)).birth_date == date(1949, 12, 31)
    refused(lambda: Holder(citizen, "A", date(1949, 12, 30)), "birth_date_differs")
    assert "1990" not in repr(Holder(foreign, "A", date(1990, 1, 1)))


MIDNIGHT = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)  # 1 December in China


def test_days_are_those_of_china() -> None:
    assert china_date(MIDNIGHT) == date(2026, 12, 1)
    assert china_date(MIDNIGHT - timedelta(seconds=1)) == date(2026, 11, 30)
    born = date(2010, 12, 1)
    assert comes_of_age(born, 16) == MIDNIGHT
    assert is_under(born, 16, MIDNIGHT - timedelta(microseconds=1))
    assert not is_under(born, 16, MIDNIGHT)


def test_a_leap_day_child_comes_of_age_in_march_where_there_is_no_leap_day() -> None:
    assert birthday(date(2008, 2, 29), 16) == date(2024, 2, 29)
    assert birthday(date(2008, 2, 29), 18) == date(2026, 3, 1)


@given(st.dates(date(1900, 1, 1), date(2090, 1, 1)), st.integers(1, 21))
def test_the_day_of_age_parts_before_from_after(born: date, years: int) -> None:
    moment = comes_of_age(born, years)
    assert not is_under(born, years, moment)
    assert is_under(born, years, moment - timedelta(microseconds=1))


def test_nobody_is_born_tomorrow() -> None:
    require_born(date(2026, 12, 1), MIDNIGHT)
    require_born(None, MIDNIGHT)
    with pytest.raises(InvalidInput, match="born_in_future"):
        require_born(date(2026, 12, 2), MIDNIGHT)


def test_the_dead_and_the_emigrated_do_not_apply() -> None:
    assert {life for life in LifeStatus if not life.may_apply} == {LifeStatus.DEAD, LifeStatus.EMIGRATED}


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("阿卜杜·买买提", "阿卜杜·买买提"),
        ("阿卜杜•买买提", "阿卜杜·买买提"),
        ("阿卜杜 ・ 买买提", "阿卜杜·买买提"),
        ("阿卜杜．买买提", "阿卜杜·买买提"),
        ("　ＡＮＮＡ　ＬＩ ", "ANNA LI"),
        ("张\U00020bb7\U000301a0", "张\U00020bb7\U000301a0"),
        ("张\ue81e", "张\ue81e"),
        ("\uf9dc\ufa0c", "\uf9dc\ufa0c"),  # compatibility characters stay themselves
    ],
)
def test_a_name_is_kept_in_one_form(typed: str, kept: str) -> None:
    assert as_written(typed) == kept
    assert as_written(kept) == kept
    assert same_name(typed, kept)


def test_other_names_are_other_names() -> None:
    assert same_name("Anna Li", "ANNALI")
    assert not same_name("张伟", "张炜")
    assert not same_name("张\U00020bb7", "张吉")


@pytest.mark.parametrize(
    ("name", "first", "rest", "complete", "gbk"),
    [
        ("测试", 4, 0, True, True),
        ("测" * 15, 30, 0, True, True),
        ("测" * 16, 30, 2, True, True),
        ("a" + "测" * 24, 30, 19, True, True),  # a character astride both records
        ("测" * 25, 30, 20, True, True),
        ("测" * 26, 30, 20, False, True),
        ("\U00020bb7", 4, 0, True, False),
        ("\U00020bb7" * 13, 30, 18, False, False),  # whole characters only: 48 of 50 bytes
        ("张\ue81e", 4, 0, True, True),  # one of the private-use characters that GBK has a place for
    ],
)
def test_a_name_goes_into_the_two_records_of_a_chip(
    name: str, first: int, rest: int, complete: bool, gbk: bool
) -> None:
    held = chip_name(name)
    assert (len(held.name), len(held.extension), held.complete, held.gbk) == (first, rest, complete, gbk)
    assert name.startswith((held.name + held.extension).decode("gb18030"))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=100))
def test_every_name_has_a_form_for_the_chip(name: str) -> None:
    held = chip_name(name)
    joined = (held.name + held.extension).decode("gb18030")
    assert name.startswith(joined)
    assert held.complete is (joined == name)
    assert len(held.name) <= 30
    assert len(held.extension) <= 20
