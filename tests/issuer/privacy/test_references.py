"""What two outside parties call one person cannot be told to be the same, and each party's name for them stays."""

from __future__ import annotations

import hmac
import itertools

from hypothesis import given
from hypothesis import strategies as st

from ecard_issuer.people import References
from ecard_verifier.callers import CALLER_NAME


class Keyed:
    """`Protector.mac` under a known key, as `ecard_keys.protect.FileProtector` computes it."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def wrap(self, data_key: bytes, *, context: bytes) -> bytes:
        raise AssertionError("a reference wraps no key")

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        raise AssertionError("a reference opens no key")

    def mac(self, label: str, data: bytes) -> bytes:
        return hmac.digest(hmac.digest(self._key, label.encode(), "sha256"), data, "sha256")


PARTIES = st.from_regex(CALLER_NAME, fullmatch=True)
REFS = st.binary(min_size=16, max_size=16).map(bytes.hex)
KEYS = st.binary(min_size=32, max_size=32)


@given(
    KEYS, st.lists(PARTIES, min_size=2, max_size=5, unique=True), st.lists(REFS, min_size=1, max_size=5, unique=True)
)
def test_every_party_has_its_own_name_for_every_person(key: bytes, parties: list[str], refs: list[str]) -> None:
    references, again = References(Keyed(key)), References(Keyed(key))
    names = {(party, ref): references.pairwise(party, ref) for party, ref in itertools.product(parties, refs)}
    assert len(set(names.values())) == len(names)  # nothing two parties have is the same
    assert not set(names.values()) & set(refs)  # and nothing that the register has
    assert {pair: again.pairwise(*pair) for pair in names} == names  # a party's name for a person stays
    assert all(len(name) == 32 and int(name, 16) >= 0 for name in names.values())


@given(KEYS, KEYS, PARTIES, REFS)
def test_without_the_key_nobody_computes_one_from_another(key: bytes, guess: bytes, party: str, ref: str) -> None:
    """Somebody who knows the party, the register's own reference and another party's name, and has not the key."""
    theirs = References(Keyed(key)).pairwise(party, ref)
    if guess != key:
        assert References(Keyed(guess)).pairwise(party, ref) != theirs


@given(KEYS, REFS)
def test_the_name_for_a_holder_is_of_no_other_use(key: bytes, ref: str) -> None:
    references = References(Keyed(key))
    assert len({references.pairwise("clinic", ref), references.chip_claim(ref), ref}) == 3


@given(KEYS, PARTIES, REFS)
def test_its_bits_do_not_lean(key: bytes, party: str, ref: str) -> None:
    """One more character of the party's name changes about half of the bits."""
    references = References(Keyed(key))
    one, other = (int(references.pairwise(name, ref), 16) for name in (party, party + "x"))
    assert 30 <= (one ^ other).bit_count() <= 98  # of 128: 6 standard deviations
