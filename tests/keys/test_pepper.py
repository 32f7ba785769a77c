"""The pepper: stable, labelled, made once by whoever comes first, and shown nowhere."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ecard_keys.homes.encrypted_file import EncryptedFile
from ecard_keys.pepper import FilePepper
from ecard_keys.protect import FileProtector

PASSPHRASE = b"correct horse battery"


def test_the_same_for_whoever_opens_the_file_and_other_for_each_label_and_text(tmp_path: Path) -> None:
    file = EncryptedFile(tmp_path / "keys.json", PASSPHRASE)
    pepper = FilePepper(file)
    first = pepper.apply("pin", b"code 246810")
    assert len(first) == 32
    assert pepper.apply("pin", b"code 246810") == first
    assert FilePepper(EncryptedFile(tmp_path / "keys.json", PASSPHRASE)).apply("pin", b"code 246810") == first
    assert first not in {pepper.apply("password", b"code 246810"), pepper.apply("pin", b"code 246811")}
    assert first != FileProtector(file).mac("pin", b"code 246810")
    assert FilePepper(EncryptedFile(tmp_path / "other.json", PASSPHRASE)).apply("pin", b"code 246810") != first


def test_of_many_that_need_it_at_once_all_get_one(tmp_path: Path) -> None:
    files = [EncryptedFile(tmp_path / "keys.json", PASSPHRASE) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(lambda file: FilePepper(file).apply("pin", b"x"), files))) == 1


def test_it_is_in_no_text(tmp_path: Path) -> None:
    file = EncryptedFile(tmp_path / "keys.json", PASSPHRASE)
    pepper = FilePepper(file)
    pepper.apply("pin", b"x")
    secret = file.reveal(("secret", "pepper-1"), file.entries()["secret", "pepper-1"])
    assert secret.hex() not in f"{pepper!r} {vars(pepper)}"
    assert secret not in (tmp_path / "keys.json").read_bytes()
