"""The trust root: who can stand in it, and the one form in which it is pinned."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.errors import InvalidInput, NotFound, Unavailable
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.key import KeyPurpose
from ecard_keys.trust.root import (
    HOLDER_ALGORITHMS,
    RootHolder,
    TrustRoot,
    holder_from_json,
    holder_to_json,
    read_root,
    root_from_json,
    root_to_json,
)
from ecard_keys.trust.root_home import RootHome
from ecard_keys.trust.root_signature import LIST_TYPE, pair_holds, signing_inputs
from tests.root_holders import Holder, root_of

A, B, C = Holder("Ana"), Holder("王五"), Holder()
ROOT = root_of([A, B, C])
SECOND = replace(ROOT, version=2, previous=ROOT.digest)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("root", [ROOT, SECOND], ids=["first", "second"])
def test_a_root_is_read_as_it_was_written(root: TrustRoot) -> None:
    again = read_root(json.dumps(root_to_json(root)).encode())
    assert again == root
    assert [holder.name for holder in again.holders] == ["Ana", "王五", None]
    assert again.digest == root.digest


def test_a_name_is_no_part_of_who_a_holder_is() -> None:
    assert RootHolder(A.public.es256, A.public.ml_dsa_65, "somebody else") == A.public


def test_the_digest_changes_with_everything_a_root_says() -> None:
    renamed = replace(A.public, name="Eve")
    others = [
        replace(ROOT, threshold=3),
        replace(ROOT, holders=ROOT.holders[:2]),
        replace(ROOT, holders=(renamed, *ROOT.holders[1:])),
        SECOND,
    ]
    assert len({root.digest for root in (ROOT, *others)}) == 5


@pytest.mark.parametrize(
    ("holders", "threshold"),
    [
        pytest.param((), 0, id="nobody"),
        pytest.param((A.public,), 2, id="more than there are"),
        pytest.param((A.public,), 0, id="none needed"),
        pytest.param((A.public, A.public), 2, id="one holder twice"),
        pytest.param((A.public, RootHolder(A.public.es256, B.public.ml_dsa_65)), 2, id="one ES256 key with two"),
        pytest.param((A.public, RootHolder(B.public.es256, A.public.ml_dsa_65)), 2, id="one ML-DSA key with two"),
    ],
)
def test_a_root_that_cannot_work_cannot_be_made(holders: tuple[RootHolder, ...], threshold: int) -> None:
    with pytest.raises(InvalidInput, match="bad_trust_root"):
        TrustRoot(holders, threshold)


@pytest.mark.parametrize("change", [{"version": 0}, {"version": 2}, {"previous": "AAAA"}, {"version": True}])
def test_a_root_out_of_bounds_cannot_be_made(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="bad_trust_root"):
        replace(ROOT, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("es256", "ml_dsa_65", "name"),
    [
        (A.public.es256[:33], A.public.ml_dsa_65, None),
        (b"\x04" + bytes(64), A.public.ml_dsa_65, None),
        (A.public.es256, A.public.ml_dsa_65[:-1], None),
        (A.public.es256, A.public.ml_dsa_65, ""),
        (A.public.es256, A.public.ml_dsa_65, "two\nlines"),
        (A.public.es256, A.public.ml_dsa_65, "abc\u202edef"),
        (A.public.es256, A.public.ml_dsa_65, "\x1b[2Jx"),
        (A.public.es256, A.public.ml_dsa_65, "x" * 65),
    ],
)
def test_a_holder_out_of_bounds_cannot_be_made(es256: bytes, ml_dsa_65: bytes, name: str | None) -> None:
    with pytest.raises(InvalidInput, match="bad_trust_root"):
        RootHolder(es256, ml_dsa_65, name)


def _spoiled() -> list[object]:
    good = holder_to_json(A.public)
    classical, quantum = (A.public.jwk(algorithm) for algorithm in HOLDER_ALGORITHMS)
    return [
        good | {"extra": 1},
        good | {"name": None},
        good | {"keys": [quantum, classical]},
        good | {"keys": [classical]},
        good | {"keys": [classical, quantum, quantum]},
        good | {"keys": [classical | {"kid": "00000000"}, quantum]},
        good | {"keys": [classical, quantum | {"priv": "AAAA"}]},
        good | {"keys": [classical | {"crv": "SM2"}, quantum]},
        good | {"keys": [classical, quantum | {"alg": "ML-DSA-44"}]},
        good | {"keys": [classical, quantum | {"pub": "AAAA"}]},
        good | {"keys": [classical, 7]},
    ]


@pytest.mark.parametrize("number", range(11))
def test_a_holder_is_read_strictly(number: int) -> None:
    with pytest.raises(InvalidInput, match="bad_trust_root"):
        holder_from_json(_spoiled()[number])


def test_the_old_form_of_a_root_is_refused() -> None:
    with pytest.raises(InvalidInput, match="bad_trust_root"):
        root_from_json({"format": "ecard-trust-root/1", "version": 1, "threshold": 1, "keys": []})


@given(JSON, st.sampled_from(["format", "version", "threshold", "holders", "previous", "more"]))
@settings(max_examples=100, deadline=None)
def test_an_odd_root_is_refused_with_our_error(value: object, member: str) -> None:
    if root_to_json(ROOT).get(member) == value:
        return
    for odd in (value, root_to_json(ROOT) | {member: value}):
        with pytest.raises(InvalidInput):
            root_from_json(odd)


def test_half_a_pair_of_keys_signs_nothing_until_it_is_made_whole(tmp_path: Path) -> None:
    """What an interruption leaves behind while a key file is made."""
    passphrase, now = b"only for tests", datetime(2026, 11, 24, tzinfo=UTC)
    FileKeyHome(tmp_path / "key.json", passphrase).create(KeyPurpose.TRUST, now)
    home = RootHome(tmp_path / "key.json", passphrase)
    with pytest.raises(Unavailable, match="root_keys_incomplete"):
        home.holders()
    home.make(3, now)
    home.make(3, now)
    holders = home.holders()
    assert len(holders) == 3
    assert RootHome(tmp_path / "key.json", passphrase).holders() == holders
    for holder in holders:
        inputs = signing_inputs(holder, LIST_TYPE, b"{}")
        assert pair_holds(holder, LIST_TYPE, b"{}", home.sign(holder, inputs))
    with pytest.raises(NotFound, match="key_unknown"):
        home.sign(RootHolder(holders[0].es256, holders[1].ml_dsa_65), inputs)
