"""`ecard serve`, `ecard init` and `ecard caller` on data directories: one server each, and nothing made by mistake."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ecard_sdk.authority import AuthorityClient
from ecard_sdk.errors import ECardError
from tests.ecard import ecard
from tests.issuer.cli.test_serve import serving

READING = (
    ("operator", "list"),
    ("bundle",),
    ("trust-root",),
    ("key", "list"),
    ("card", "show", "ab" * 16),
    ("caller", "list"),
)


def authority(folder: Path) -> Path:
    """An authority's bundle, made without serving."""
    folder.mkdir(exist_ok=True)
    assert ecard("init", "--data-dir", str(folder / "data")).returncode == 0
    assert ecard("bundle", "--data-dir", str(folder / "data"), "-o", str(folder / "bundle.json")).returncode == 0
    return folder / "bundle.json"


def refused(done: subprocess.CompletedProcess[str], code: str, status: int) -> None:
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(f"ecard: {code}: ")
    assert len(done.stderr.splitlines()) == 2  # what, and where


@pytest.mark.parametrize("first", [(), ("issuer",)])
def test_a_second_issuer_on_a_directory_is_refused_and_commands_beside_it_go_on(
    tmp_path: Path, first: tuple[str, ...]
) -> None:
    data = str(tmp_path / "data")
    with serving(tmp_path / "data", *first, ECARD_DATA_DIR=data) as running:
        running.ready()
        for second in ((), ("issuer",), ("verifier", "--offline", str(authority(tmp_path / "other")))):
            refused(ecard("serve", *second, "--port", "0", "--data-dir", data), "data_dir_in_use", 3)
        assert ecard("operator", "add", "gate", "--data-dir", data).returncode == 0
        running.ready()
        running.process.kill()
        running.process.wait(10)
    with serving(tmp_path / "data", ECARD_DATA_DIR=data) as running:  # the kernel let go of it
        running.ready()


def test_a_second_verifier_on_a_directory_is_refused_and_callers_come_and_go_beside_it(tmp_path: Path) -> None:
    arguments = ("verifier", "--offline", str(authority(tmp_path)), "--data-dir", str(tmp_path / "verifier"))
    data = arguments[-2:]
    with serving(tmp_path / "talk", *arguments) as running:
        running.ready()
        refused(ecard("serve", *arguments, "--port", "0"), "data_dir_in_use", 3)
        made = json.loads(ecard("caller", "add", "gate 2", *data, "--json").stdout)
        with AuthorityClient(running.base, made["token"]) as client:
            assert client.verify("x").outcome == "invalid"
            listed = ecard("caller", "list", *data)
            assert listed.stdout == "first counter  counter\ngate 2  counter\n"
            assert ecard("caller", "revoke", "gate 2", *data).returncode == 0
            with pytest.raises(ECardError) as gone:
                client.verify("x")
        assert gone.value.code == "not_authenticated"
        with AuthorityClient(running.base, running.token("Counter")) as client:
            assert client.verify("x").outcome == "invalid"
        refused(ecard("caller", "revoke", "gate 2", *data), "operator_unknown", 5)
        refused(ecard("caller", "add", " x", *data), "bad_operator_name", 2)
        (tmp_path / "verifier" / "tokens.json").write_text("{")
        with AuthorityClient(running.base, made["token"]) as client, pytest.raises(ECardError) as broken:
            client.verify("x")
        assert broken.value.code == "bad_tokens"


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_command_founds_nothing(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = ecard(*command, "--data-dir", str(tmp_path / "typo"))
    refused(done, "no_verifier" if command[0] == "caller" else "no_authority", 5)
    assert str(tmp_path / "typo") in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_init_makes_an_authority_and_shows_its_first_operator_once(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    first = ecard("init", "--data-dir", data, "--json", ECARD_PUBLIC_ORIGIN="https://issuer.example")
    assert json.loads(first.stdout) == {"data_dir": data, "issuer": "https://issuer.example"}
    assert first.stderr.count("Operator token, shown this once: ecop_") == 1
    again = ecard("init", "--data-dir", data)
    assert (again.returncode, "token" in again.stderr) == (0, False)
    assert "first operator  operator  live" in ecard("operator", "list", "--data-dir", data).stdout
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "data").iterdir())


def test_a_lost_key_file_stops_the_server_and_every_command(tmp_path: Path) -> None:
    authority(tmp_path)
    data = ("--data-dir", str(tmp_path / "data"))
    (tmp_path / "data" / "keys.json").unlink()
    for command in (("serve", "--port", "0"), ("init",), ("key", "list")):
        done = ecard(*command, *data)
        refused(done, "key_file_missing", 3)
        assert str(tmp_path / "data" / "keys.json") in done.stderr
    assert not (tmp_path / "data" / "keys.json").exists()


@pytest.mark.parametrize(
    ("settings", "code", "status"),
    [
        ({}, "setting_missing", 2),
        ({"BUNDLE": "/nonexistent/bundle"}, "bad_setting", 2),
        ({"BUNDLE": __file__}, "bad_bundle", 2),
        ({"BUNDLE": "", "PROT": "1"}, "unknown_setting", 2),
        ({"BUNDLE": __file__, "TOKENS": "/nonexistent/tokens"}, "bad_tokens", 2),
    ],
)
def test_a_verifier_with_a_wrong_setting_makes_and_says_nothing(
    tmp_path: Path, settings: dict[str, str], code: str, status: int
) -> None:
    given = {f"ECARD_VERIFIER_{name}": value for name, value in settings.items()}
    data = tmp_path / "verifier"
    refused(ecard("serve", "verifier", "--port", "0", ECARD_VERIFIER_DATA=str(data), **given), code, status)
    assert list(tmp_path.iterdir()) == []


def test_the_settings_file_does_not_move_the_callers(tmp_path: Path) -> None:
    """A verifier's callers lie in its own directory, whoever names it."""
    config = tmp_path / "ecard.toml"
    config.write_text(f'[verifier]\ndata = "{tmp_path / "verifier"}"\nbundle = "{authority(tmp_path)}"\n')
    with serving(tmp_path / "talk", "verifier", ECARD_CONFIG=str(config)) as running:
        running.ready()
        assert running.token("Counter")
    assert (tmp_path / "verifier" / "tokens.json").stat().st_mode & 0o077 == 0
    assert ecard("caller", "list", ECARD_CONFIG=str(config)).stdout == "first counter  counter\n"


@pytest.mark.parametrize("service", [(), ("issuer",), ("verifier",)])
def test_a_setting_that_would_be_ignored_is_refused_by_name(tmp_path: Path, service: tuple[str, ...]) -> None:
    for name, code in (("ECARD_VERIFIER_MINIMUM_ASURANCE", "unknown_setting"), ("ECARD_PROT", "unknown_setting")):
        done = ecard("serve", *service, "--port", "0", "--data-dir", str(tmp_path / "data"), **{name: "hush"})
        refused(done, code, 2)
        assert name in done.stderr
        assert "hush" not in done.stderr
    if not service:
        done = ecard("serve", "--port", "0", "--data-dir", str(tmp_path / "data"), ECARD_VERIFIER_PORT="1")
        refused(done, "bad_setting", 2)
    assert list(tmp_path.iterdir()) == []
