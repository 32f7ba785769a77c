"""What every `Signer` and `KeyHome` promises, as one suite that each adapter's test runs.

A subclass gives the fixtures `signer`, `known_key` (the id of a key that it holds) and `public`; a key home gives
`home`. Those whose keys are not ES256 say so in `algorithm`. That the one check believes a home's signatures is the
further promise of `home_in_check.HomeInCheckContract`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput, NotFound
from ecard_keys.key import DEFAULT_USER_ID, KeyPurpose
from ecard_keys.signer import KeyHome, Signer
from ecard_keys.verify import PublicKey, load_public_key, verify

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SIGNATURE_BYTES = {Algorithm.ES256: 64, Algorithm.SM2: 64, Algorithm.ML_DSA_65: 3309}


class _Algorithmic:
    """The algorithm of the keys under test, and how to judge them."""

    algorithm = Algorithm.ES256

    @property
    def user_id(self) -> bytes | None:
        return DEFAULT_USER_ID if self.algorithm is Algorithm.SM2 else None

    def load(self, public: bytes) -> PublicKey:
        return load_public_key(public, self.algorithm, self.user_id)


class SignerContract(_Algorithmic):
    """Promises of `Signer`. `public` is the public half of `known_key`."""

    def test_each_message_gets_its_own_signature_in_order(self, signer: Signer, known_key: str, public: bytes) -> None:
        messages = [b"", b"one", b"two" * 1000]
        signatures = signer.sign(known_key, messages)
        key = self.load(public)
        assert {len(signature) for signature in signatures} == {SIGNATURE_BYTES[self.algorithm]}
        assert all(verify(key, message, made) for message, made in zip(messages, signatures, strict=True))
        assert not verify(key, messages[1], signatures[2])

    def test_an_empty_batch_gives_nothing(self, signer: Signer, known_key: str) -> None:
        assert signer.sign(known_key, []) == []

    def test_no_signature_has_a_second_form(self, signer: Signer, known_key: str, public: bytes) -> None:
        key = self.load(public)
        messages = [bytes([number]) for number in range(64)]
        signatures = signer.sign(known_key, messages)
        assert all(verify(key, message, made, low_s=True) for message, made in zip(messages, signatures, strict=True))

    def test_any_bytes_are_signed(self, signer: Signer, known_key: str, public: bytes) -> None:
        key = self.load(public)

        @given(messages=st.lists(st.binary(max_size=300), max_size=5))
        @settings(max_examples=20, deadline=None)
        def holds(messages: list[bytes]) -> None:
            for message, made in zip(messages, signer.sign(known_key, messages), strict=True):
                assert verify(key, message, made, low_s=True)

        holds()

    def test_an_unknown_key_is_refused(self, signer: Signer) -> None:
        for odd in ("ffffffffff", "", "../key", "\x00"):
            with pytest.raises(NotFound) as refusal:
                signer.sign(odd, [b"message"])
            assert refusal.value.code == "key_unknown"

    def test_one_bad_message_spoils_the_batch(self, signer: Signer, known_key: str) -> None:
        with pytest.raises(InvalidInput) as refusal:
            signer.sign(known_key, [b"good", "text"])  # type: ignore[list-item]
        assert refusal.value.code == "bad_message"

    def test_threads_may_sign_at_once(self, signer: Signer, known_key: str, public: bytes) -> None:
        key = self.load(public)
        messages = [b"message %d" % number for number in range(40)]
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda message: signer.sign(known_key, [message])[0], messages))
        assert all(verify(key, message, signature) for message, signature in zip(messages, made, strict=True))


class KeyHomeContract(_Algorithmic):
    """Further promises of `KeyHome`."""

    @pytest.mark.parametrize("purpose", list(KeyPurpose))
    def test_a_new_key_signs_and_is_listed_with_its_purpose(self, home: KeyHome, purpose: KeyPurpose) -> None:
        key_id = home.create(purpose, NOW)
        point = home.public_key(key_id)
        assert key_id == jose.key_id(point, self.algorithm)
        assert verify(self.load(point), b"message", home.sign(key_id, [b"message"])[0])
        listed = home.held()
        held = next(key for key in listed if key.key_id == key_id)
        assert (held.purpose, held.public, held.created_at) == (purpose, point, int(NOW.timestamp()))
        assert (held.algorithm, held.user_id) == (self.algorithm, self.user_id)

    def test_keys_differ(self, home: KeyHome) -> None:
        ids = {home.create(KeyPurpose.STATUS, NOW) for _ in range(5)}
        assert len(ids) == len({home.public_key(key_id) for key_id in ids}) == 5

    def test_a_destroyed_key_is_gone(self, home: KeyHome) -> None:
        key_id = home.create(KeyPurpose.LOG, NOW)
        home.sign(key_id, [b"message"])
        home.destroy(key_id)
        for use in (lambda: home.sign(key_id, [b"message"]), lambda: home.public_key(key_id)):
            with pytest.raises(NotFound):
                use()
        with pytest.raises(NotFound):
            home.destroy(key_id)
        left = home.held()
        assert key_id not in {key.key_id for key in left}

    def test_the_public_half_of_an_unknown_key_is_not_found(self, home: KeyHome) -> None:
        with pytest.raises(NotFound) as refusal:
            home.public_key("00000000")
        assert refusal.value.code == "key_unknown"

    def test_a_time_without_zone_is_refused(self, home: KeyHome) -> None:
        with pytest.raises(InvalidInput) as refusal:
            home.create(KeyPurpose.LOG, datetime(2026, 11, 23))
        assert refusal.value.code == "time_without_zone"
