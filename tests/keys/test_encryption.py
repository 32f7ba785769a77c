"""Keys that partners encrypt to: they open what was sealed to them, come by themselves, and go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import ECKey

from ecard_card.errors import InvalidInput
from ecard_keys.encryption import PERIOD, FileUnsealing
from ecard_keys.homes.encrypted_file import EncryptedFile

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> EncryptedFile:
    return EncryptedFile(tmp_path_factory.mktemp("keys") / "keys.json", b"a passphrase")


def sealed_to(unsealing: FileUnsealing, now: datetime, **header: str) -> str:
    keys = unsealing.key_set(now)["keys"]
    assert isinstance(keys, list)
    jwk = keys[0]
    head = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": jwk["kid"], **header}
    known = ["ECDH-ES", "A256GCM", "A128GCM", "DEF"]
    return jwe.encrypt_compact(head, b"plain", ECKey.import_key(jwk), algorithms=known)


def test_what_is_sealed_to_a_published_key_opens_for_a_period_longer(file: EncryptedFile) -> None:
    unsealing = FileUnsealing(file)
    sealed = sealed_to(unsealing, NOW)
    assert unsealing.open(sealed, NOW) == b"plain"
    assert FileUnsealing(file).open(sealed, NOW + PERIOD) == b"plain"
    with pytest.raises(InvalidInput, match="bad_sealed_data"):
        unsealing.open(sealed, NOW + 2 * PERIOD)
    with pytest.raises(InvalidInput, match="bad_sealed_data"):  # its key is gone for good
        FileUnsealing(file).open(sealed, NOW)


def test_a_key_set_says_current_and_previous_and_nothing_private(file: EncryptedFile) -> None:
    unsealing, later = FileUnsealing(file), NOW + timedelta(days=400)
    keys, before = unsealing.key_set(later)["keys"], unsealing.key_set(later - PERIOD)["keys"]
    assert isinstance(keys, list)
    assert isinstance(before, list)
    assert keys[1] == before[0]
    assert all(set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"} for key in keys)
    assert len({name for name in file.entries() if name[1].startswith("encrypt-")}) <= 3


@pytest.mark.parametrize("header", [{"enc": "A128GCM"}, {"kid": "other"}, {"zip": "DEF"}])
def test_another_way_of_sealing_is_refused(file: EncryptedFile, header: dict[str, str]) -> None:
    unsealing, later = FileUnsealing(file), NOW + timedelta(days=800)
    with pytest.raises(InvalidInput, match="bad_sealed_data"):
        unsealing.open(sealed_to(unsealing, later, **header), later)


@given(text=st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9_-]{0,20}(\.[A-Za-z0-9_-]{0,20}){4}", fullmatch=True)))
def test_whatever_comes_is_opened_or_refused(file: EncryptedFile, text: str) -> None:
    with pytest.raises(InvalidInput, match="bad_sealed_data"):
        FileUnsealing(file).open(text, NOW + timedelta(days=1200))


def test_an_altered_one_does_not_open(file: EncryptedFile) -> None:
    unsealing, later = FileUnsealing(file), NOW + timedelta(days=1600)
    head, key, nonce, text, tag = sealed_to(unsealing, later).split(".")
    for altered in ((head, key, nonce, text[::-1], tag), (head, key, nonce, text, "A" * len(tag))):
        with pytest.raises(InvalidInput, match="bad_sealed_data"):
            unsealing.open(".".join(altered), later)
