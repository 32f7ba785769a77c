"""The passphrase of the key files, typed by a person: nothing of it is kept, and what opens the files asks again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecard_keys.homes.settings import HomeSettings
from ecard_sdk.cli import main

PASSPHRASE = "a long one, typed by hand"


class Keyboard:
    """What a person types when asked, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self._typed: Iterator[str] = iter(())
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        monkeypatch.setattr("getpass.getpass", self._answer)

    def types(self, *typed: str) -> None:
        self._typed = iter(typed)

    def _answer(self, prompt: str) -> str:
        self.asked.append(prompt)
        return next(self._typed)


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Keyboard:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    return Keyboard(monkeypatch)


def test_an_authority_opens_by_what_was_typed_at_its_beginning(
    keyboard: Keyboard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--data-dir", str(tmp_path / "data"))
    keyboard.types(PASSPHRASE, "something else")
    assert main(["init", "--ask-passphrase", *where]) == 2
    assert "passphrases_differ" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
    keyboard.types(PASSPHRASE, PASSPHRASE)
    assert main(["init", "--ask-passphrase", *where]) == 0
    assert keyboard.asked[-2:] == ["口令： ", "请再次输入同一口令： "]
    assert not any(
        PASSPHRASE.encode() in path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()
    )
    assert not (tmp_path / "data" / "key-passphrase").exists()
    keyboard.types(PASSPHRASE)
    assert main(["key", "list", *where]) == 0
    keyboard.types("not that one at all")
    assert main(["key", "list", *where]) == 3
    assert "key_file_passphrase_wrong" in capsys.readouterr().err


def test_without_a_terminal_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: pytest.fail("asked"))
    assert main(["init", "--ask-passphrase", "--data-dir", str(tmp_path / "data")]) == 2
    assert main(["init", "--data-dir", str(tmp_path / "data")]) == 0
    (tmp_path / "data" / "key-passphrase").unlink()
    assert main(["key", "list", "--data-dir", str(tmp_path / "data")]) == 3


def test_the_signer_asks_too(keyboard: Keyboard, tmp_path: Path) -> None:
    from ecard_keys.cli.serve import _open
    from ecard_keys.process.config import read_config

    config = tmp_path / "signer.toml"
    config.write_text(
        f"""
        journal = "{tmp_path}/journal"
        key_file = "{tmp_path}/keys.json"
        [[issuer]]
        issuer = "https://issuer.example"
        status_uri = "https://issuer.example/status-lists/{{list}}"
        regions = ["330000"]
        [[caller]]
        name = "issuer"
        uid = 1001
        profiles = ["event"]
        """
    )
    config.chmod(0o600)
    keyboard.types(PASSPHRASE, PASSPHRASE)
    assert _open(HomeSettings(), read_config(config), {}).held() == ()
    keyboard.types(PASSPHRASE)
    assert _open(HomeSettings(), read_config(config), {}).held() == ()
    assert len(keyboard.asked) == 3
