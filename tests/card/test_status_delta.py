"""The packing of a delta: one spelling for given changes, bounded, and only our errors for anything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card import jose, status_delta
from ecard_card.errors import InvalidInput
from ecard_card.status_delta import FIRST, LIST_SIZE, MAX_CHANGES, MAX_LIST, Change, StatusDelta, pack, unpack
from ecard_keys.verify import load_public_key, verify_jws
from tests.card import make_delta_vectors
from tests.world import ISSUER

T = 1_795_428_000
PREVIOUS = jose.b64url_encode(bytes(32))

changes_of = st.dictionaries(
    st.tuples(st.integers(0, MAX_LIST), st.integers(0, LIST_SIZE - 1)), st.integers(0, 2), max_size=40
).map(lambda found: tuple((*place, found[place]) for place in sorted(found)))


def delta(**about: object) -> StatusDelta:
    given: dict[str, object] = {
        "issuer": ISSUER,
        "issued_at": T,
        "expires_at": T + 86_400,
        "number": 7,
        "after": 10,
        "upto": 12,
        "previous": PREVIOUS,
        "as_of": T,
        "trust_list": 1,
        "changes": ((1, 5, 2), (1, 9, 1)),
    }
    return StatusDelta(**{**given, **about})  # type: ignore[arg-type]


@given(changes_of)
def test_changes_come_back_as_they_went_in(changes: tuple[Change, ...]) -> None:
    assert unpack(pack(changes)) == changes


@given(st.binary(max_size=64))
def test_whatever_unpacks_packs_into_the_same_bytes(data: bytes) -> None:
    try:
        changes = unpack(data)
    except InvalidInput:
        return
    assert pack(changes) == data


@pytest.mark.parametrize(
    ("changes", "data"),
    [
        ((), ""),
        (((0, 0, 1),), "01"),
        (((0, 31, 2),), "7e"),
        (((0, 0, 1), (0, 1, 2), (0, 40, 0)), "0102" + "9801"),
        (((1, 0, 2),), "82808002"),
        (((MAX_LIST, LIST_SIZE - 1, 1),), "fdffffffffffff0f"),
    ],
)
def test_packed_changes_are_these_bytes(changes: tuple[Change, ...], data: str) -> None:
    assert pack(changes).hex() == data
    assert unpack(bytes.fromhex(data)) == changes


@pytest.mark.parametrize("data", ["8100", "80", "03", "ff" * 8 + "01", "fe" * 9, "81808080808000"])
def test_a_second_spelling_a_torn_or_an_unknown_value_is_refused(data: str) -> None:
    with pytest.raises(InvalidInput, match="bad_status_delta"):
        unpack(bytes.fromhex(data))


@pytest.mark.parametrize(
    "changes",
    [
        ((1, 5, 3),),
        ((1, 5, -1),),
        ((1, LIST_SIZE, 1),),
        ((MAX_LIST + 1, 0, 1),),
        ((-1, 0, 1),),
        ((1, 5, 1), (1, 5, 2)),
        ((1, 5, 1), (1, 4, 2)),
        ((2, 0, 1), (1, 4, 2)),
    ],
)
def test_what_has_no_place_or_order_is_never_packed(changes: tuple[Change, ...]) -> None:
    with pytest.raises(InvalidInput, match="bad_status_delta"):
        pack(changes)


@pytest.mark.parametrize(
    "about",
    [
        {"number": 0},
        {"number": 1},
        {"previous": FIRST},
        {"previous": "x"},
        {"after": 13},
        {"upto": 11},
        {"issued_at": T - 1},
        {"expires_at": T},
        {"issuer": ""},
        {"trust_list": -1},
        {"as_of": 2**60, "issued_at": 2**60, "expires_at": 2**61},
        {"changes": tuple((1, index, 1) for index in range(MAX_CHANGES + 1)), "upto": 10**6},
    ],
)
def test_a_delta_that_makes_no_sense_is_never_drafted(about: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="bad_status_delta"):
        status_delta.draft(delta(**about), "01020304")


def test_the_largest_delta_is_within_the_limit() -> None:
    scattered = tuple((index * 80_000, index, 1) for index in range(MAX_CHANGES))
    full = delta(changes=scattered, upto=10**6, issuer="https://" + "i" * 500)
    token = status_delta.draft(full, "01020304").complete(bytes(64))
    assert len(token) <= status_delta.LIMIT
    assert status_delta.sealed(token).open() == full


@given(st.text(max_size=300) | st.builds(lambda parts: ".".join(parts), st.lists(st.text("abcAB_-019", max_size=40))))
def test_no_text_brings_out_anything_but_our_errors(text: str) -> None:
    with pytest.raises(InvalidInput):
        status_delta.sealed(text).open()


VECTORS = json.loads((Path(__file__).parents[1] / "vectors/card/status_delta.json").read_text())


def test_the_vectors_are_those_that_the_command_makes() -> None:
    assert json.dumps(VECTORS, indent=1) + "\n" == make_delta_vectors.document()


def test_the_vectors_hold_and_their_refusals_too() -> None:
    of_kind = {kind: [v for v in VECTORS["vectors"] if v["kind"] == kind] for kind in ("packed", "token")}
    for vector in of_kind["packed"]:
        data, expected = bytes.fromhex(vector["bytes"]), vector["expect"]
        if isinstance(expected, str):
            with pytest.raises(InvalidInput, match=expected):
                unpack(data)
            continue
        changes = tuple((list_id, index, value) for list_id, index, value in expected["changes"])
        assert pack(changes) == data
        assert unpack(data) == changes
    key = load_public_key(bytes.fromhex(VECTORS["public_key"]))
    first, second = (status_delta.sealed(vector["token"]) for vector in of_kind["token"])
    assert verify_jws(first.jws, key)
    assert verify_jws(second.jws, key)
    assert second.open().previous == first.digest == of_kind["token"][0]["expect"]["digest"]
    assert (first.open().upto, second.open().after) == (4711, 4711)
    assert second.open().changes == ((1, 7, 2), (3, 1_048_575, 1))
