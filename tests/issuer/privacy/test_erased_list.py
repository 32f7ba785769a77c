"""The file of erased people: what was written is read, and nothing else."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.errors import InvalidInput
from ecard_issuer.privacy.erased_list import lines, read
from ecard_issuer.privacy.values import ErasedPerson
from tests.contracts.register_world import NOW, refused

PERSON = ErasedPerson("ab" * 16, "cd" * 32, NOW.replace(microsecond=0))
GOOD: dict[str, Any] = json.loads(next(lines([PERSON])))


def test_it_comes_back_as_it_was_written() -> None:
    assert list(read([*lines([PERSON, PERSON]), "", "\n"])) == [PERSON, PERSON]


@pytest.mark.parametrize(
    "change",
    [
        {"format": "ecard-erased/2"},
        {"former_ref": "xyz"},
        {"former_ref": 1},
        {"former_ref": ""},
        {"key_mark": "AB"},
        {"key_mark": "a" * 65},
        {"erased_at": "yesterday"},
        {"erased_at": "2026-01-01T00:00:00"},
        {"erased_at": 5},
        {"name": "canary"},
    ],
)
def test_another_line_is_refused_by_its_number(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as told:
        list(read([json.dumps(GOOD), json.dumps(GOOD | change)]))
    assert (told.value.code, told.value.detail) == ("bad_erased_list", "line 2 is not of a list of erased people")


def test_a_line_that_is_cut_off_is_refused() -> None:
    with refused(InvalidInput, "bad_erased_list"):
        list(read([json.dumps(GOOD)[:-1]]))


@given(st.one_of(st.text(max_size=500), st.recursive(st.none() | st.integers(), st.lists).map(json.dumps)))
def test_whatever_comes_in_only_our_error_comes_out(line: str) -> None:
    with suppress(InvalidInput):
        list(read([line]))
