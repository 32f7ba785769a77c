"""Masks: whatever comes in, too little stays to be looked up; and purposes are read strictly."""

from __future__ import annotations

import copy
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.errors import InvalidInput, NotFound
from ecard_verifier.purposes.masking import Mask, masked
from ecard_verifier.purposes.purposes import Field, Level, load_purposes, read_purposes

NUMBERS = st.text(alphabet="0123456789ABCDEFGHJKLMNPQRSTUVWXYZ()-", max_size=24)
NAMES = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="王李张欧阳司马·买买提葛\U000e0100\u3400", max_size=12),
    st.from_regex(r"[A-Z]{1,20}( [A-Z]{1,20}){0,4}", fullmatch=True),
)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", ""),
        ("王", "*"),
        ("王三", "*三"),
        ("王小三", "王**"),
        ("欧阳震华", "欧***"),
        ("买买提·吐尔逊", "买***"),
        ("MARIA DEL CARMEN", "M***"),
        ("葛\U000e0100三", "*三"),
        ("e\u0301a", "*a"),
    ],
)
def test_of_a_name_one_end_stays(name: str, shown: str) -> None:
    assert masked(name, Mask.ONE_END) == shown


@pytest.mark.parametrize(
    ("number", "mask", "shown"),
    [
        ("410105199003071230", Mask.HEAD3_TAIL4, "410***********1230"),
        ("410105199003071230", Mask.HEAD6_TAIL4, "410105********1230"),
        ("410105900307123", Mask.HEAD6_TAIL4, "410105*****7123"),
        ("H1234567890", Mask.HEAD6_TAIL4, "*********90"),
        ("E12345678", Mask.HEAD3_TAIL4, "*******78"),
        ("A123456", Mask.HEAD3_TAIL4, "*******"),
        ("", Mask.HEAD3_TAIL4, ""),
    ],
)
def test_of_a_number_its_ends_stay_where_enough_is_hidden(number: str, mask: Mask, shown: str) -> None:
    assert masked(number, mask) == shown


@given(NAMES)
def test_no_name_comes_back(name: str) -> None:
    shown = masked(name, Mask.ONE_END)
    kept = shown.replace("*", "")
    base = [char for char in kept if not __import__("unicodedata").category(char).startswith("M") and char != "\u200d"]
    assert len(shown) == 0 if not name else "*" in shown
    assert len(base) <= 2 if "\u200d" in name else len(base) <= 1
    assert name == "" or shown != name or set(name) == {"*"}
    assert shown.count("*") - kept.count("*") <= 3, "how long it is, it does not say"


@given(NUMBERS, st.sampled_from([Mask.HEAD3_TAIL4, Mask.HEAD6_TAIL4]))
def test_no_number_comes_back(number: str, mask: Mask) -> None:
    shown = masked(number, mask)
    hidden = sum(1 for before, after in zip(number, shown, strict=True) if after == "*" and before != "*")
    assert hidden >= min(len(number), 5)
    kept = len(number) - hidden
    assert kept <= 10 if len(number) >= 15 else kept <= 2


def defaults() -> dict[str, Any]:
    raw = files("ecard_verifier.purposes").joinpath("defaults.toml").read_text(encoding="utf-8")
    return tomllib.loads(raw)


def test_our_purposes_are_the_ones_that_were_promised() -> None:
    types = {purpose.purpose: purpose.business_type for purpose in load_purposes()}
    assert types == {
        "medical": "03",
        "pharmacy": "03",
        "benefit": "03",
        "query": "01",
        "payment": "02",
        "large-payment": "02",
        "elsewhere": "04",
        "other": "03",
    }
    with pytest.raises(NotFound, match="purpose_unknown"):
        load_purposes().get("medical", Level.BASIC)
    for purpose in load_purposes():
        for sight in purpose.levels.values():
            for field in (Field.NAME, Field.ID_NUMBER, Field.CARD_NUMBER):
                assert sight.page.get(field) is not Mask.FULL


def _set(*path: str, value: object) -> Any:
    def change(content: dict[str, Any]) -> None:
        at = content
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (_set("format", value="ecard-purposes/2"), "format"),
        (_set("medical", "levels", "designated", "page", "name", value="full"), "masks only"),
        (_set("medical", "levels", "designated", "page", "id_number", value="full"), "masks only"),
        (_set("medical", "levels", "designated", "page", "birth_year", value="full"), "year of birth"),
        (_set("medical", "levels", "designated", "page", "name", value="3+4"), "medical.designated.page.name"),
        (_set("medical", "levels", "designated", "page", "photo", value="full"), "medical.designated.page"),
        (_set("medical", "levels", "anybody", value={"page": {}, "system": {}}), "medical.levels"),
        (_set("medical", "levels", value={}), "medical.levels"),
        (_set("medical", "live", value="yes"), "medical.live"),
        (_set("medical", "business_type", value="05"), "medical.business_type"),
        (_set("medical", "minimum_assurance", value="none"), "medical.minimum_assurance"),
        (_set("medical", "challenges", value=False), "medical"),
        (_set("medical", "names", value={"zh": "就医"}), "medical.names"),
        (_set("Medical", value={}), "a purpose"),
        (_set("medical", value=3), "medical"),
    ],
)
def test_a_misspelt_permission_is_an_error(change: Any, where: str) -> None:
    content = copy.deepcopy(defaults())
    change(content)
    with pytest.raises(InvalidInput, match="bad_purposes") as caught:
        read_purposes(content)
    assert where in caught.value.detail


def test_an_operators_own_file_takes_the_place_of_ours(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('format = "ecard-purposes/1"\n', encoding="utf-8")
    with pytest.raises(InvalidInput, match="bad_purposes"):
        load_purposes(own)
    with pytest.raises(InvalidInput, match="bad_purposes"):
        load_purposes(tmp_path / "none.toml")
