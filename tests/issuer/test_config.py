"""Settings: from the environment, a TOML file and secret files; nothing unknown, nothing echoed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from ecard_card.card import ChipAssurance
from ecard_card.errors import EcardError, InvalidInput, NotFound, Unavailable
from ecard_issuer.assembly import build
from ecard_issuer.config import NAMES, load
from ecard_issuer.data_dir import DataDir
from ecard_issuer.register import make_engine
from ecard_verifier.config import load_embedded, load_settings


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ECARD_"):
            monkeypatch.delenv(name)


def test_command_line_over_environment_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ecard.toml").write_text(
        '[issuer]\nport = 1\nhost = "file"\nissuer_name = "file"\n[verifier]\nport = 1\n'
    )
    monkeypatch.setenv("ECARD_CONFIG", str(tmp_path / "ecard.toml"))
    monkeypatch.setenv("ECARD_HOST", "environment")
    monkeypatch.setenv("ECARD_PORT", "2")
    monkeypatch.setenv("ECARD_VERIFIER_PORT", "9")
    settings = load(port=3)
    assert (settings.port, settings.host, settings.issuer_name, settings.status_ttl) == (3, "environment", "file", 60)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("ECARD_PROT", "1", "unknown_setting"),
        ("ECARD_PORT", "70000", "bad_setting"),
        ("ECARD_PUBLIC_ORIGIN", "https://issuer.example/path", "bad_setting"),
        ("ECARD_REGIONS", "330100,12", "bad_setting"),
        ("ECARD_CREDENTIAL_DAYS", "0", "bad_setting"),
        ("ECARD_CONFIG", "/nonexistent/x.toml", "settings_unreadable"),
        ("ECARD_KEY_PASSPHRASE_FILE", "/nonexistent/x", "settings_unreadable"),
    ],
)
def test_a_wrong_setting_is_refused_by_name_and_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, code: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput) as refused:
        load()
    assert refused.value.code == code
    assert value not in refused.value.detail or value == "1"


def test_an_unknown_key_or_table_in_the_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ecard.toml"
    monkeypatch.setenv("ECARD_CONFIG", str(path))
    for text in ("[issuer]\nprot = 1\n", "[isuer]\nport = 1\n", "[verifier]\nprot = 1\n", '[issuer]\ntoken = "x"\n'):
        path.write_text(text)
        for loader in (load, lambda: load_settings(os.environ, NAMES), lambda: load_embedded(os.environ, NAMES)):
            with pytest.raises(InvalidInput, match="unknown_setting"):
                loader()


@pytest.mark.parametrize("name", ["ECARD_VERIFIER_PROT", "ECARD_VERIFER_PORT", "ECARD_AUDIENCE", "ECARD_DATADIR"])
def test_a_typo_anywhere_in_our_names_is_refused_by_every_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("ECARD_VERIFIER_BUNDLE", "b")
    monkeypatch.setenv("ECARD_PORT", "1")
    monkeypatch.setenv("ECARD_TOKEN", "a client's")
    assert (load().port, str(load_settings(os.environ, NAMES).bundle)) == (1, "b")
    monkeypatch.setenv(name, "hush")
    for loader in (load, lambda: load_settings(os.environ, NAMES), lambda: load_embedded(os.environ, NAMES)):
        with pytest.raises(InvalidInput, match=f"unknown_setting: .*{name}") as refused:
            loader()
        assert "hush" not in str(refused.value)


def test_a_verifier_beside_an_issuer_takes_what_has_a_meaning_there_and_refuses_the_rest(tmp_path: Path) -> None:
    config = tmp_path / "ecard.toml"
    config.write_text('[verifier]\naudience = "clinic"\n')
    environ = {"ECARD_CONFIG": str(config), "ECARD_VERIFIER_MINIMUM_ASSURANCE": "signature"}
    settings = load_embedded(environ | {"ECARD_VERIFIER_URL": "http://a.client.s"}, NAMES)
    assert (settings.audience, settings.minimum_assurance) == ("clinic", ChipAssurance.SIGNATURE)
    with pytest.raises(InvalidInput, match="bad_setting: ECARD_VERIFIER_PORT is for a verifier by itself"):
        load_embedded(environ | {"ECARD_VERIFIER_PORT": "1"}, NAMES)
    config.write_text('[verifier]\ntokens = "t"\n')
    with pytest.raises(InvalidInput, match="bad_setting: ECARD_VERIFIER_TOKENS"):
        load_embedded(environ, NAMES)


def test_the_settings_file_may_name_the_file_of_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("one of several words\n")
    (tmp_path / "ecard.toml").write_text(f'[issuer]\nkey_passphrase_file = "{tmp_path / "secret"}"\n')
    monkeypatch.setenv("ECARD_CONFIG", str(tmp_path / "ecard.toml"))
    found = load().key_passphrase
    assert found is not None
    assert found.get_secret_value() == "one of several words"
    monkeypatch.setenv("ECARD_KEY_PASSPHRASE", "that of the environment")
    found = load().key_passphrase
    assert found is not None
    assert found.get_secret_value() == "that of the environment"


def test_a_secret_comes_from_its_file_and_never_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("hunter2 hunter2\n")
    monkeypatch.setenv("ECARD_KEY_PASSPHRASE_FILE", str(tmp_path / "secret"))
    settings = load()
    assert settings.key_passphrase is not None
    assert settings.key_passphrase.get_secret_value() == "hunter2 hunter2"
    assert "hunter2" not in repr(settings) + str(settings)
    monkeypatch.setenv("ECARD_KEY_PASSPHRASE", "x")
    with pytest.raises(InvalidInput, match="given twice"):
        load()


def test_settings_are_frozen_and_replaced_ones_are_checked_again() -> None:
    settings = load()
    with pytest.raises(ValidationError):
        settings.port = 1
    assert settings.having(port=1).port == 1
    with pytest.raises(InvalidInput, match="bad_setting"):
        settings.having(port=-1)


def test_the_first_start_makes_a_passphrase_that_only_its_owner_reads_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    build(load(data_dir=tmp_path, port=1), say=said.append).close()
    path = tmp_path / "key-passphrase"
    assert path.stat().st_mode & 0o077 == 0
    assert len(path.read_text().strip()) >= 40
    assert len(said) == 1
    assert path.read_text().strip() not in said[0]
    build(load(data_dir=tmp_path, port=1), say=said.append).close()
    assert len(said) == 1
    path.chmod(0o644)
    with pytest.raises(Unavailable, match="key_passphrase_exposed"):
        build(load(data_dir=tmp_path, port=1))


def test_a_wrong_passphrase_or_directory_is_one_of_our_errors(tmp_path: Path) -> None:
    build(load(data_dir=tmp_path, port=1, key_passphrase="one of several words")).close()
    with pytest.raises(EcardError):
        build(load(data_dir=tmp_path, port=1, key_passphrase="another one entirely"))
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="data_dir_unusable"):
        build(load(data_dir=tmp_path / "file" / "below", port=1))


def test_one_process_at_a_time_serves_a_directory(tmp_path: Path) -> None:
    first, second = DataDir(tmp_path), DataDir(tmp_path)
    first.serve()
    first.serve()  # the same server
    with pytest.raises(Unavailable, match="data_dir_in_use"):
        second.serve()
    first.release()
    second.serve()
    second.release()


def test_a_second_server_is_refused_before_it_settles_the_work_of_the_first(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path, port=1)
    first = build(settings, serve=True)
    with pytest.raises(Unavailable, match="data_dir_in_use"):
        build(settings, serve=True)
    beside = build(settings, create=False)  # a command
    with pytest.raises(Unavailable, match="data_dir_in_use"):
        beside.start()
    beside.close()
    first.close()
    build(settings, serve=True).close()


@pytest.mark.parametrize("name", ["keys.json", "root-keys.json", "key-passphrase"])
def test_a_lost_key_file_is_refused_by_name_and_never_replaced(tmp_path: Path, name: str) -> None:
    settings = load(data_dir=tmp_path, port=1)
    build(settings).close()
    (tmp_path / name).rename(tmp_path / "elsewhere")
    for create in (True, False):
        with pytest.raises(Unavailable, match=rf"key_(file_missing|passphrase_unreadable): .*/{name} is") as refused:
            build(settings, create=create)
        assert "backup" in refused.value.detail
        assert not (tmp_path / name).exists()
    (tmp_path / "elsewhere").rename(tmp_path / name)
    build(settings, create=False).close()


def test_without_leave_to_create_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("nowhere", "empty"):
        with pytest.raises(NotFound, match=f"no_authority: .*/{name} holds no authority"):
            build(load(data_dir=tmp_path / name, port=1), create=False)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]
    build(load(data_dir=tmp_path / "good", port=1)).close()
    elsewhere = f"sqlite:///{tmp_path / 'typo.sqlite3'}"
    with pytest.raises(NotFound, match="no_authority"):
        build(load(data_dir=tmp_path / "good", port=1, database_url=elsewhere), create=False)
    assert not (tmp_path / "typo.sqlite3").exists()
    make_engine(elsewhere).connect().close()  # an empty database is no authority either
    with pytest.raises(NotFound, match="no_authority"):
        build(load(data_dir=tmp_path / "good", port=1, database_url=elsewhere), create=False)
