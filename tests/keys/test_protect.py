"""Personal data at rest: opens with the right key and context only; look-up hashes are stable and labelled."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.errors import CheckFailed, InvalidInput
from ecard_keys.homes.encrypted_file import EncryptedFile
from ecard_keys.protect import FileProtector, new_data_key, open_, seal

PASSPHRASE = b"correct horse battery"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("protect") / "keys.json"


@pytest.fixture(scope="module")
def protector(path: Path) -> FileProtector:
    return FileProtector(EncryptedFile(path, PASSPHRASE))


def refused(key: bytes, sealed: bytes, context: bytes) -> bool:
    with pytest.raises(CheckFailed) as caught:
        open_(key, sealed, context=context)
    return caught.value.code == "sealed_data_refused"


@given(st.binary(max_size=300), st.binary(max_size=40), st.binary(min_size=32, max_size=32))
@settings(max_examples=100, deadline=None)
def test_data_opens_as_it_was_sealed_and_each_time_looks_different(plain: bytes, context: bytes, key: bytes) -> None:
    sealed = seal(key, plain, context=context)
    assert open_(key, sealed, context=context) == plain
    assert seal(key, plain, context=context) != sealed


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_changed_data_is_refused(place: int, change: int) -> None:
    key = new_data_key()
    sealed = bytearray(seal(key, b"name", context=b"row"))
    sealed[place % len(sealed)] ^= change
    assert refused(key, bytes(sealed), b"row")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" * 28, b"\x02" * 40])
def test_what_was_never_sealed_is_refused(sealed: bytes) -> None:
    assert refused(new_data_key(), sealed, b"row")


def test_another_key_or_context_is_refused() -> None:
    key = new_data_key()
    sealed = seal(key, b"name", context=b"row 1")
    assert refused(key, sealed, b"row 2")
    assert refused(new_data_key(), sealed, b"row 1")


def test_a_data_key_has_32_bytes(protector: FileProtector) -> None:
    assert len(new_data_key()) == 32
    attempts: list[Callable[[], bytes]] = [
        lambda: seal(bytes(31), b"", context=b""),
        lambda: open_(bytes(16), bytes([1]) + bytes(40), context=b""),
        lambda: protector.wrap(bytes(33), context=b""),
    ]
    for act in attempts:
        with pytest.raises(InvalidInput) as caught:
            act()
        assert caught.value.code == "bad_data_key"


def test_a_wrapped_key_opens_for_its_person_only_and_also_after_a_restart(protector: FileProtector, path: Path) -> None:
    key = new_data_key()
    wrapped = protector.wrap(key, context=b"person 1")
    assert key not in wrapped
    assert protector.unwrap(wrapped, context=b"person 1") == key
    again = FileProtector(EncryptedFile(path, PASSPHRASE, create=False))
    assert again.unwrap(wrapped, context=b"person 1") == key
    for odd, context in [
        (wrapped, b"person 2"),
        (wrapped[:-1] + bytes([wrapped[-1] ^ 1]), b"person 1"),
        (b"\x02" + wrapped[1:], b"person 1"),
        (b"", b"person 1"),
    ]:
        with pytest.raises(CheckFailed) as caught:
            again.unwrap(odd, context=context)
        assert caught.value.code == "sealed_data_refused"


def test_hashes_are_stable_and_differ_by_label_and_data(protector: FileProtector, path: Path) -> None:
    again = FileProtector(EncryptedFile(path, PASSPHRASE, create=False))
    first = protector.mac("id-number", b"11010519491231002X")
    assert first == again.mac("id-number", b"11010519491231002X") == protector.mac("id-number", b"11010519491231002X")
    assert len({first, protector.mac("id-numbe", b"r11010519491231002X"), protector.mac("chip", b"")}) == 3


def test_the_hash_is_hmac_sha256_under_an_hkdf_subkey(protector: FileProtector, path: Path) -> None:
    name = ("secret", "mac-1")
    protector.mac("chip", b"")
    file = EncryptedFile(path, PASSPHRASE)
    secret = file.reveal(name, file.entries()[name])
    subkey = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"ecard-mac/chip").derive(secret)
    assert protector.mac("chip", b"data") == hmac.new(subkey, b"data", hashlib.sha256).digest()


def test_two_processes_that_need_the_secrets_first_agree_on_them(tmp_path: Path) -> None:
    files = [EncryptedFile(tmp_path / "keys.json", PASSPHRASE) for _ in range(2)]
    for file in files:
        assert not file.entries()  # both have seen that there is none
    one, two = (FileProtector(file) for file in files)
    assert one.mac("chip", b"data") == two.mac("chip", b"data")
    assert two.unwrap(one.wrap(bytes(32), context=b"c"), context=b"c") == bytes(32)
    assert set(files[0].entries()) == {("secret", "mac-1"), ("secret", "wrap-1")}


def test_the_slower_of_two_that_make_a_secret_takes_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [EncryptedFile(tmp_path / "keys.json", PASSPHRASE) for _ in range(2)]
    hashed = FileProtector(files[0]).mac("chip", b"data")
    monkeypatch.setattr(files[1], "entries", dict)  # it looked just before the other wrote
    assert FileProtector(files[1]).mac("chip", b"data") == hashed


def test_secrets_of_two_files_differ(protector: FileProtector, tmp_path: Path) -> None:
    other = FileProtector(EncryptedFile(tmp_path / "keys.json", PASSPHRASE))
    assert other.mac("chip", b"data") != protector.mac("chip", b"data")
    with pytest.raises(CheckFailed):
        other.unwrap(protector.wrap(bytes(32), context=b"c"), context=b"c")
