"""The file home of keys: what it survives, and what it refuses with which code."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.errors import InvalidInput, NotFound, Unavailable
from ecard_keys.homes import encrypted_file
from ecard_keys.homes.encrypted_file import EncryptedFile
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.key import KeyPurpose
from ecard_keys.trust.content import canonical_json
from ecard_keys.verify import load_public_key, verify

NOW = datetime(2026, 11, 23, tzinfo=UTC)
PASSPHRASE = b"correct horse battery"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def home(path: Path) -> FileKeyHome:
    return FileKeyHome(path, PASSPHRASE)


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(Unavailable) as caught:
        act()
    return caught.value.code


def rewrite(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change the file as an attacker would who knows the format but no passphrase: with a fresh checksum."""
    content = json.loads(path.read_bytes())
    del content["checksum"]
    change(content)
    content["checksum"] = encrypted_file._checksum(content)
    path.write_bytes(canonical_json(content))


def test_keys_are_there_again_after_a_restart(home: FileKeyHome, path: Path) -> None:
    key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
    again = FileKeyHome(path, PASSPHRASE, create=False)
    assert again.held() == home.held()
    assert verify(load_public_key(home.public_key(key_id)), b"message", again.sign(key_id, [b"message"])[0])


def test_the_file_shows_no_private_key_and_is_ours_alone(home: FileKeyHome, path: Path, tmp_path: Path) -> None:
    key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
    secret = home._private(key_id).secret
    text = path.read_bytes()
    assert secret not in text
    assert secret.hex().encode() not in text
    assert {name.name: oct(name.stat().st_mode & 0o777) for name in tmp_path.iterdir()} == {
        "keys.json": "0o600",
        "keys.json.lock": "0o600",
    }


def test_two_homes_on_one_file_see_each_others_changes(home: FileKeyHome, path: Path) -> None:
    other = FileKeyHome(path, PASSPHRASE)
    key_id = other.create(KeyPurpose.STATUS, NOW)
    assert home.sign(key_id, [b"message"])
    other.destroy(key_id)
    with pytest.raises(NotFound):
        home.sign(key_id, [b"message"])


def test_writers_in_threads_and_in_another_process_lose_no_key(home: FileKeyHome, path: Path) -> None:
    program = (
        "import sys; from datetime import UTC, datetime; from ecard_keys.key import KeyPurpose;"
        "from ecard_keys.homes.file import FileKeyHome; home = FileKeyHome(sys.argv[1], sys.argv[2].encode());"
        "[print(home.create(KeyPurpose.LOG, datetime.now(UTC))) for _ in range(10)]"
    )
    command = [sys.executable, "-c", program, str(path), PASSPHRASE.decode()]
    other_home = FileKeyHome(path, PASSPHRASE)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, ThreadPoolExecutor(4) as pool:
        homes = [home, other_home] * 10
        made = list(pool.map(lambda one: one.create(KeyPurpose.EVENT, NOW), homes))
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    made += output.split()
    assert len(set(made)) == 30
    found = FileKeyHome(path, PASSPHRASE).held()
    assert {key.key_id for key in found} == set(made)


def test_a_wrong_passphrase_is_told_apart_from_damage(home: FileKeyHome, path: Path) -> None:
    home.create(KeyPurpose.LOG, NOW)
    assert refusal(lambda: FileKeyHome(path, b"incorrect horse")) == "key_file_passphrase_wrong"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert refusal(lambda: FileKeyHome(path, PASSPHRASE)) == "key_file_damaged"


@pytest.mark.parametrize("passphrase", [b"", b"short"])
def test_a_missing_or_short_passphrase_is_refused(path: Path, passphrase: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        FileKeyHome(path, passphrase)
    assert caught.value.code == "key_file_passphrase_missing"
    assert not path.exists()


@given(place=st.integers(0, 10_000), change=st.integers(1, 255), cut=st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_damaged_file_is_opened(
    tmp_path_factory: pytest.TempPathFactory, place: int, change: int, cut: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    if not path.exists():
        FileKeyHome(path, PASSPHRASE).create(KeyPurpose.LOG, NOW)
    good = path.read_bytes()
    place %= len(good)
    path.write_bytes(good[:place] if cut else good[:place] + bytes([good[place] ^ change]) + good[place + 1 :])
    try:
        assert refusal(lambda: FileKeyHome(path, PASSPHRASE)) == "key_file_damaged"
    finally:
        path.write_bytes(good)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_file_others_may_read_is_refused_also_while_open(home: FileKeyHome, path: Path, mode: int) -> None:
    key_id = home.create(KeyPurpose.LOG, NOW)
    path.chmod(mode)
    assert refusal(lambda: FileKeyHome(path, PASSPHRASE)) == "key_file_permissions"
    assert refusal(lambda: home.sign(key_id, [b"message"])) == "key_file_permissions"
    path.chmod(0o600)
    assert home.sign(key_id, [b"message"])


def test_a_pipe_in_its_place_is_refused_without_waiting(path: Path) -> None:
    os.mkfifo(path, 0o600)
    assert refusal(lambda: FileKeyHome(path, PASSPHRASE)) == "key_file_permissions"


def test_a_missing_file_is_not_made_anew_where_one_is_expected(path: Path) -> None:
    assert refusal(lambda: FileKeyHome(path, PASSPHRASE, create=False)) == "key_file_missing"
    assert refusal(lambda: FileKeyHome(path / "no" / "folder", PASSPHRASE)) == "key_file_missing"
    assert not path.exists()


def test_signing_stops_while_the_file_is_away_and_goes_on_when_it_is_back(home: FileKeyHome, path: Path) -> None:
    key_id = home.create(KeyPurpose.LOG, NOW)
    away = path.with_suffix(".away")
    path.rename(away)
    assert refusal(lambda: home.sign(key_id, [b"message"])) == "key_file_missing"
    away.rename(path)
    assert home.sign(key_id, [b"message"])


@pytest.mark.parametrize(
    "kdf",
    [
        {"n": 1 << 40},
        {"n": 1 << 19},
        {"n": 1 << 10},
        {"n": (1 << 15) + 1},
        {"n": -1},
        {"n": "32768"},
        {"r": 1 << 20},
        {"p": 1 << 20},
        {"p": 0},
        {"salt": ""},
        {"salt": "A" * 1000},
        {"name": "none"},
        {"more": 1},
    ],
)
def test_a_file_that_demands_odd_work_is_refused_before_doing_it(
    home: FileKeyHome, path: Path, kdf: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite(path, lambda content: content["kdf"].update(kdf))  # type: ignore[attr-defined]
    monkeypatch.setattr(encrypted_file._Kdf, "derive", lambda *_: pytest.fail("work was done"))
    assert refusal(lambda: FileKeyHome(path, PASSPHRASE)) == "key_file_kdf_refused"


def test_an_entry_cannot_be_swapped_renamed_relabelled_or_dropped(home: FileKeyHome, path: Path) -> None:
    for purpose in (KeyPurpose.CREDENTIAL, KeyPurpose.STATUS):
        home.create(purpose, NOW)
    good = path.read_bytes()

    def swap(content: dict[str, object]) -> None:
        first, second = content["entries"]  # type: ignore[misc]
        first["box"], second["box"] = second["box"], first["box"]  # type: ignore[has-type]
        first["nonce"], second["nonce"] = second["nonce"], first["nonce"]  # type: ignore[has-type]

    changes: list[Callable[[dict[str, object]], object]] = [
        swap,
        lambda content: content["entries"][0].update(name="00000000"),  # type: ignore[index]
        lambda content: content["entries"][0]["about"].update(purpose="trust"),  # type: ignore[index]
        lambda content: content["entries"].pop(),  # type: ignore[attr-defined]
        lambda content: content.update(entries={}),
        lambda content: content.pop("seal"),
    ]
    for change in changes:
        rewrite(path, change)
        # Without the passphrase's key nobody can tell a forgery from a wrong passphrase; both are refused.
        assert refusal(lambda: FileKeyHome(path, PASSPHRASE)) in ("key_file_passphrase_wrong", "key_file_damaged")
        path.write_bytes(good)
    assert len(FileKeyHome(path, PASSPHRASE).held()) == 2


def test_an_entry_opens_under_its_own_name_and_description_only(path: Path) -> None:
    file = EncryptedFile(path, PASSPHRASE)
    entry = file.seal(("key", "a"), {"purpose": "log"}, b"secret")
    assert file.reveal(("key", "a"), entry) == b"secret"
    moved = encrypted_file.Entry({"purpose": "trust"}, entry.nonce, entry.box)
    for attempt in (lambda: file.reveal(("key", "b"), entry), lambda: file.reveal(("key", "a"), moved)):
        assert refusal(attempt) == "key_file_damaged"


def test_a_file_under_another_salt_put_in_its_place_is_refused(home: FileKeyHome, path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    FileKeyHome(other, PASSPHRASE)
    other.rename(path)
    assert refusal(home.held) == "key_file_replaced"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_changes_nothing_and_leaves_nothing_behind(
    home: FileKeyHome, path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    home.create(KeyPurpose.LOG, NOW)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        assert refusal(lambda: home.create(KeyPurpose.LOG, NOW)) == "key_home_unavailable"
    assert path.read_bytes() == before
    assert sorted(name.name for name in path.parent.iterdir()) == ["keys.json", "keys.json.lock"]
    assert len(home.held()) == 1
    home.create(KeyPurpose.LOG, NOW)
    assert len(home.held()) == 2


def test_what_a_crashed_writer_left_is_cleared_away(home: FileKeyHome, path: Path) -> None:
    path.with_name("keys.json.new").write_bytes(b"half a f")
    key_id = home.create(KeyPurpose.LOG, NOW)
    found = FileKeyHome(path, PASSPHRASE).held()
    assert [key.key_id for key in found] == [key_id]
    assert not path.with_name("keys.json.new").exists()


def test_a_lock_held_by_a_hung_writer_is_an_error_and_not_a_wait_for_ever(
    home: FileKeyHome, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encrypted_file, "_LOCK_WAIT", 0.05)
    key_id = home.create(KeyPurpose.LOG, NOW)
    with path.with_name("keys.json.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert refusal(lambda: home.create(KeyPurpose.LOG, NOW)) == "key_file_locked"
        assert home.sign(key_id, [b"message"])  # signing needs no lock
    assert home.create(KeyPurpose.LOG, NOW)
