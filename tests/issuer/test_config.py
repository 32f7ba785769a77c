"""Settings: from the environment, a TOML file and secret files; nothing unknown, nothing echoed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from ecard_card.errors import EcardError, InvalidInput, Unavailable
from ecard_issuer.assembly import build
from ecard_issuer.config import load
from ecard_issuer.data_dir import DataDir


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ECARD_"):
            monkeypatch.delenv(name)


def test_command_line_over_environment_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ecard.toml").write_text('[issuer]\nport = 1\nhost = "file"\nissuer_name = "file"\n[verifier]\nx = 1\n')
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
    for text in ("[issuer]\nprot = 1\n", "[isuer]\nport = 1\n"):
        path.write_text(text)
        with pytest.raises(InvalidInput, match="unknown_setting"):
            load()


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
    assert first.serve()
    assert not second.serve()
    first.release()
    assert second.serve()
    second.release()
