"""The home of keys in OpenBao's transit engine, against a real server: promises, limits, rights, and its archive."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import pytest

from ecard_card import jose
from ecard_card.errors import EcardError, InvalidInput
from ecard_keys.key import KeyPurpose
from ecard_keys.verify import load_public_key, verify
from tests.contracts.home_in_check import HomeInCheckContract
from tests.contracts.signer_contract import NOW, KeyHomeContract, SignerContract
from tests.openbao import OpenBao, running_openbao

vault = pytest.importorskip("ecard_keys.homes.vault", reason="hvac not found: pip install -e '.[vault]'")
VaultKeyHome = vault.VaultKeyHome
from ecard_keys.homes.vault_session import VaultSettings  # noqa: E402 - after the skip


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "keys.jsonl"


@pytest.fixture
def home(openbao_server: OpenBao, archive: Path) -> Any:
    """A home under a prefix of the test's own, at the shared server."""
    return VaultKeyHome(openbao_server.settings(prefix="ecard-" + archive.parent.name.replace("_", "")[-50:]), archive)


def names(server: OpenBao, prefix: str) -> list[str]:
    listed = server.admin().secrets.transit.list_keys()["data"]["keys"]
    return [name for name in listed if name.startswith(prefix)]


def code_of(action: Any) -> str:
    with pytest.raises(EcardError) as refusal:
        action()
    return refusal.value.code


class TestVaultKeyHome(SignerContract, KeyHomeContract, HomeInCheckContract):
    @pytest.fixture(scope="class")
    @classmethod
    def home(cls, openbao_server: OpenBao, tmp_path_factory: pytest.TempPathFactory) -> Any:
        return VaultKeyHome(openbao_server.settings(), tmp_path_factory.mktemp("vault") / "keys.jsonl")

    @pytest.fixture(scope="class")
    @classmethod
    def signer(cls, home: Any) -> Any:
        return home

    @pytest.fixture(scope="class")
    @classmethod
    def known_key(cls, home: Any) -> str:
        return str(home.create(KeyPurpose.CREDENTIAL, NOW))

    @pytest.fixture(scope="class")
    @classmethod
    def public(cls, home: Any, known_key: str) -> bytes:
        return bytes(home.public_key(known_key))


@pytest.mark.parametrize("count", [1, 495, 496, 497, 2000])
def test_any_number_of_messages_is_signed_in_order(home: Any, count: int) -> None:
    key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
    messages = [b"message %d" % number for number in range(count)]
    signatures = home.sign(key_id, messages)
    key = load_public_key(home.public_key(key_id))
    assert len(signatures) == count
    assert all(verify(key, message, made, low_s=True) for message, made in zip(messages, signatures, strict=True))


def test_parts_are_cut_exactly_to_the_limit_of_the_server(archive: Path) -> None:
    """The server counts names and values; one item more than we send in a part, and it refuses."""
    with running_openbao(listener="max_request_json_strings = 101") as server:
        home = VaultKeyHome(server.settings(max_strings=101), archive)
        key_id = home.create(KeyPurpose.STATUS, NOW)
        assert len(home.sign(key_id, [b"message"] * 100)) == 100
        greedy = VaultKeyHome(server.settings(max_strings=103), archive)
        assert code_of(lambda: greedy.sign(key_id, [b"message"] * 100)) == "key_home_answer_refused"


def test_the_server_sees_digests_and_signs_by_version_one_after_a_rotation(
    openbao_server: OpenBao, home: Any, archive: Path
) -> None:
    key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
    name = json.loads(archive.read_text("utf-8"))["name"]
    openbao_server.admin().secrets.transit.rotate_key(name)
    signature = home.sign(key_id, [b"after the rotation"])[0]
    assert verify(load_public_key(home.public_key(key_id)), b"after the rotation", signature)


def test_speed(home: Any, record_property: Any) -> None:
    key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
    single: list[float] = []
    batch: list[float] = []
    for times, messages in ((single, [b"m" * 600]), (batch, [b"m" * 600] * 496)):
        for _ in range(100 // len(messages) + 4):
            begin = perf_counter()
            home.sign(key_id, messages)
            times.append(perf_counter() - begin)
    record_property("counts", f"one: {median(single) * 1e3:.1f} ms; batches: {496 / median(batch):.0f} signatures/s")


# -- Rights -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(openbao_server: OpenBao) -> Any:
    """Logs in as a role with the given policies."""
    import hvac

    def login(*policies: str) -> Any:
        fresh = hvac.Client(url=openbao_server.address, token="", timeout=10)
        fresh.auth.approle.login(*openbao_server.role(*policies))
        return fresh.secrets.transit

    return login


def test_whoever_may_only_sign_cannot_make_or_destroy(openbao_server: OpenBao, home: Any, archive: Path) -> None:
    key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
    prefix = json.loads(archive.read_text("utf-8"))["name"].split("-credential-")[0]
    signing = VaultKeyHome(openbao_server.settings("vault-sign", prefix=prefix), archive)
    assert len(signing.sign(key_id, [b"message"])[0]) == 64
    assert code_of(lambda: signing.create(KeyPurpose.LOG, NOW)) == "key_home_forbidden"
    assert code_of(lambda: signing.destroy(key_id)) == "key_home_forbidden"
    assert signing.public_key(key_id) == home.public_key(key_id)
    assert signing.rebuild() == ()
    assert len(names(openbao_server, prefix)) == 1


_BEYOND: dict[str, Any] = {
    "rotate": lambda transit, name: transit.rotate_key(name),
    "export": lambda transit, name: transit.export_key(name, "signing-key"),
    "backup": lambda transit, name: transit.backup_key(name),
    "trim": lambda transit, name: transit.trim_key(name, 1),
    "make exportable": lambda transit, name: transit.update_key_configuration(name, exportable=True),
    "put version 1 away": lambda transit, name: transit.update_key_configuration(name, min_encryption_version=1),
    "create exportable": lambda transit, name: transit.create_key("ecard-new", key_type="ecdsa-p256", exportable=True),
    "create another type": lambda transit, name: transit.create_key("ecard-new", key_type="ed25519"),
    "sign with a foreign key": lambda transit, name: transit.sign_data("other-key", hash_input="aGk="),
}


@pytest.mark.parametrize("deed", _BEYOND)
@pytest.mark.parametrize("policies", [("vault-sign",), ("vault-sign", "vault-admin")], ids=["sign", "admin"])
def test_nobody_of_ours_may(
    openbao_server: OpenBao, home: Any, archive: Path, client: Any, policies: tuple[str, ...], deed: str
) -> None:
    import hvac

    home.create(KeyPurpose.CREDENTIAL, NOW)
    openbao_server.admin().secrets.transit.create_key("other-key", key_type="ecdsa-p256")
    name = json.loads(archive.read_text("utf-8"))["name"]
    with pytest.raises(hvac.exceptions.Forbidden):
        _BEYOND[deed](client(*policies), name)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"secret_id": "00000000-0000-0000-0000-000000000000"}, "key_home_login_refused"),
        ({"role_id": "nobody"}, "key_home_login_refused"),
        ({"auth_mount": "elsewhere"}, "key_home_login_refused"),
        ({"mount": "elsewhere"}, "key_home_forbidden"),
    ],
    ids=["secret", "role", "login mount", "mount"],
)
def test_wrong_settings_say_which(openbao_server: OpenBao, archive: Path, changed: dict[str, str], code: str) -> None:
    from dataclasses import replace

    home = VaultKeyHome(replace(openbao_server.settings(), **changed), archive)
    assert code_of(lambda: home.create(KeyPurpose.LOG, NOW)) == code


@pytest.mark.parametrize(
    "changed",
    [
        {"address": "http://vault.example:8200"},
        {"address": "vault.example:8200"},
        {"address": "https://user:secret@vault.example"},
        {"prefix": "a/b"},
        {"prefix": ""},
        {"timeout": 30.0},
        {"max_strings": 3},
    ],
    ids=lambda changed: next(iter(changed.values())),
)
def test_settings_that_cannot_be_right_are_refused(changed: dict[str, Any]) -> None:
    given: dict[str, Any] = {"address": "https://vault.example:8200", "role_id": "r", "secret_id": "s", **changed}
    with pytest.raises(InvalidInput) as refusal:
        VaultSettings(**given)
    assert refusal.value.code == "bad_key_home_settings"


def test_the_secret_is_not_shown() -> None:
    assert "hush" not in repr(VaultSettings("https://vault.example", "role", "hush"))


def test_the_environment_changes_nothing(
    openbao_server: OpenBao, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = openbao_server.settings()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "VAULT_ADDR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("VAULT_TOKEN", "not-ours")
    monkeypatch.setenv("NO_PROXY", "")
    assert VaultKeyHome(settings, archive).create(KeyPurpose.LOG, NOW)


# -- The archive ------------------------------------------------------------------------------------------------------


def test_a_lost_archive_is_rebuilt_from_the_server(
    openbao_server: OpenBao, home: Any, archive: Path, tmp_path: Path
) -> None:
    made = [home.create(purpose, NOW) for purpose in (KeyPurpose.ACCESS_TOKEN, KeyPurpose.STATUS, KeyPurpose.STATUS)]
    prefix = json.loads(archive.read_text("utf-8").splitlines()[0])["name"].split("-access-token-")[0]
    transit = openbao_server.admin().secrets.transit
    transit.create_key(f"{prefix}-status-20261123T000000Z-{'0' * 16}", key_type="ecdsa-p256", exportable=True)
    transit.create_key(f"{prefix}-status-20261123T000000Z-{'1' * 16}", key_type="ed25519")
    transit.create_key(f"{prefix}-status-20269923T000000Z-{'2' * 16}", key_type="ecdsa-p256")
    transit.create_key(f"{prefix}-something", key_type="ecdsa-p256")
    before = home.held()
    fresh = VaultKeyHome(openbao_server.settings(prefix=prefix), tmp_path / "fresh.jsonl")
    assert code_of(lambda: fresh.sign(made[0], [b"message"])) == "key_unknown"
    added = fresh.rebuild()
    assert set(added) == set(before)
    assert fresh.held() == before
    assert fresh.rebuild() == ()
    assert len(fresh.sign(made[0], [b"message"])[0]) == 64


def test_nothing_to_rebuild_from(openbao: OpenBao, archive: Path) -> None:
    assert VaultKeyHome(openbao.settings(), archive).rebuild() == ()


def test_a_missing_archive_is_made_only_if_asked_and_then_missed(openbao_server: OpenBao, archive: Path) -> None:
    settings = openbao_server.settings()
    assert code_of(lambda: VaultKeyHome(settings, archive, create=False)) == "key_file_missing"
    home = VaultKeyHome(settings, archive)
    archive.unlink()
    assert code_of(home.held) == "key_file_missing"


def test_a_key_of_another_process_is_found_and_its_destruction_too(
    openbao_server: OpenBao, home: Any, archive: Path
) -> None:
    other = VaultKeyHome(openbao_server.settings(), archive)
    key_id = home.create(KeyPurpose.EVENT, NOW)
    assert len(other.sign(key_id, [b"message"])[0]) == 64
    home.destroy(key_id)
    assert code_of(lambda: other.sign(key_id, [b"message"])) == "key_unknown"


def test_homes_create_in_one_archive_at_once(openbao_server: OpenBao, archive: Path) -> None:
    homes = [VaultKeyHome(openbao_server.settings(), archive) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda number: homes[number % 4].create(KeyPurpose.STATUS, NOW), range(24)))
    assert {key.key_id for key in homes[0].held()} == set(made)
    assert len(archive.read_bytes().splitlines()) == len(set(made)) == 24


@pytest.mark.parametrize("cut", [1, 20, -1], ids=["one byte", "a part", "all but the end"])
def test_a_line_cut_short_by_a_crash_is_repaired(openbao_server: OpenBao, home: Any, archive: Path, cut: int) -> None:
    first = home.create(KeyPurpose.STATUS, NOW)
    whole = archive.read_bytes()
    archive.write_bytes(whole + whole[:cut])
    later = VaultKeyHome(openbao_server.settings(), archive)
    assert [key.key_id for key in later.held()] == [first]
    second = later.create(KeyPurpose.LOG, NOW)
    assert [json.loads(line)["kid"] for line in archive.read_bytes().splitlines()] == [first, second]


_DAMAGES: dict[str, Any] = {
    "no such purpose": lambda line: line.replace(b"status", b"statum"),
    "another kid": lambda line: line.replace(b'"kid":"', b'"kid":"f')[:-1],
    "another member": lambda line: line.replace(b'"name"', b'"nome"'),
    "a member more": lambda line: line.replace(b"{", b'{"more":1,'),
    "another time": lambda line: line.replace(b'"created_at":', b'"created_at":1.5,"x":'),
    "a key twice": lambda line: line + b"\n" + line,
    "destroyed unknown": lambda line: b'{"destroyed":"00000000"}',
    "an array": lambda line: b"[]",
    "an empty line": lambda line: b"",
}


@pytest.mark.parametrize("damage", _DAMAGES)
def test_an_archive_that_we_did_not_write_is_refused(home: Any, archive: Path, damage: str) -> None:
    home.create(KeyPurpose.STATUS, NOW)
    archive.write_bytes(_DAMAGES[damage](archive.read_bytes().rstrip(b"\n")) + b"\n")
    assert code_of(home.held) == "key_file_damaged"


def test_an_archive_open_to_others_is_refused(home: Any, archive: Path) -> None:
    archive.chmod(0o640)
    assert code_of(home.held) == "key_file_permissions"


def test_an_archive_locked_by_another_is_waited_for(openbao_server: OpenBao, archive: Path) -> None:
    import fcntl

    home = VaultKeyHome(openbao_server.settings(), archive)
    with archive.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        release = threading.Timer(0.2, lambda: fcntl.flock(other, fcntl.LOCK_UN))
        release.start()
        assert home.create(KeyPurpose.LOG, NOW)
        release.join()


def test_an_archive_on_a_full_disk_forgets_no_key_and_takes_none(
    home: Any, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    first = home.create(KeyPurpose.STATUS, NOW)
    before = archive.read_bytes()
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: real(file, data[:30]))
        assert code_of(lambda: home.create(KeyPurpose.STATUS, NOW)) == "key_home_unavailable"
    assert archive.read_bytes() == before
    assert [key.key_id for key in home.held()] == [first]
    assert len(home.rebuild()) == 1, "the key that could not be archived is not lost"


def test_names_say_purpose_and_time_in_utc(home: Any, archive: Path) -> None:
    from datetime import timedelta, timezone

    beijing = datetime(2026, 11, 24, 7, 30, tzinfo=timezone(timedelta(hours=8)))
    key_id = home.create(KeyPurpose.ACCESS_TOKEN, beijing)
    assert "-access-token-20261123T233000Z-" in json.loads(archive.read_text("utf-8"))["name"]
    assert home.held()[0].created_at == int(datetime(2026, 11, 23, 23, 30, tzinfo=UTC).timestamp())
    assert jose.key_id(home.public_key(key_id)) == key_id
