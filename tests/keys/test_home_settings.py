"""Which home of keys, and the rules of the signer: nothing unknown is let pass, and no secret is shown."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput, Unavailable
from ecard_keys.desk.desk import SigningProfile
from ecard_keys.homes import settings as home_settings
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.homes.settings import HomeSettings, open_home, read_environment
from ecard_keys.process.config import read_config
from tests.keys.desk_support import PASSPHRASE


def test_all_names_of_the_environment_are_read(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("1234\n")
    settings = read_environment(
        {
            "ECARD_KEY_HOME": "vault",
            "ECARD_VAULT_ADDR": "https://vault.example:8200",
            "ECARD_VAULT_ROLE_ID": "role",
            "ECARD_VAULT_SECRET_ID": "s3cret",
            "ECARD_VAULT_MOUNT": "ecard-transit",
            "ECARD_VAULT_CA": "/etc/ca.pem",
            "ECARD_VAULT_NAMESPACE": "n",
            "ECARD_VAULT_PREFIX": "p",
            "ECARD_PKCS11_MODULE": "/usr/lib/softhsm.so",
            "ECARD_PKCS11_TOKEN": "t",
            "ECARD_PKCS11_PIN_FILE": str(tmp_path / "pin"),
            "ECARD_PORT": "of somebody else",
            "PATH": "/bin",
        }
    )
    assert settings == HomeSettings(
        home="vault",
        vault_addr="https://vault.example:8200",
        vault_role_id="role",
        vault_secret_id="s3cret",
        vault_mount="ecard-transit",
        vault_ca=Path("/etc/ca.pem"),
        vault_namespace="n",
        vault_prefix="p",
        pkcs11_module=Path("/usr/lib/softhsm.so"),
        pkcs11_token="t",
        pkcs11_pin="1234",
    )
    assert "s3cret" not in repr(settings)
    assert "1234" not in repr(settings)


@pytest.mark.parametrize(
    ("environ", "code"),
    [
        ({"ECARD_VAULT_ADRR": "x"}, "unknown_setting"),
        ({"ECARD_SIGNER_SOKET": "x"}, "unknown_setting"),
        ({"ECARD_KEY_HOME": "cloud"}, "bad_setting"),
        ({"ECARD_KEY_ALGORITHM": "RS256"}, "bad_setting"),
        ({"ECARD_KEY_ALGORITHM": "ML-DSA-65"}, "bad_setting"),
        ({"ECARD_KEY_ALGORITHM": "SM2", "ECARD_KEY_HOME": "vault"}, "bad_setting"),
        ({"ECARD_PKCS11_PIN": "", "ECARD_KEY_HOME": "pkcs11"}, "bad_setting"),
        ({"ECARD_PKCS11_PIN": "1", "ECARD_PKCS11_PIN_FILE": "/x"}, "bad_setting"),
        ({"ECARD_VAULT_SECRET_ID_FILE": "/nonexistent/x"}, "settings_unreadable"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(environ: dict[str, str], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_environment(environ)
    assert refused.value.code == code


def test_a_file_is_the_home_and_joins_a_far_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = FileKeyHome(tmp_path / "keys.json", PASSPHRASE)
    archive = tmp_path / "archive"
    assert open_home(HomeSettings(), file, archive) is file
    with pytest.raises(InvalidInput, match="bad_setting"):
        open_home(HomeSettings(), None, archive)
    for home, missing in (("vault", "ECARD_VAULT_ADDR"), ("pkcs11", "ECARD_PKCS11_MODULE")):
        monkeypatch.setattr(home_settings, "find_spec", lambda _: object())
        with pytest.raises(InvalidInput, match=missing):
            open_home(HomeSettings(home=home), file, archive)  # type: ignore[arg-type]
        monkeypatch.setattr(home_settings, "find_spec", lambda _: None)
        with pytest.raises(Unavailable, match="key_home_extra_missing"):
            open_home(HomeSettings(home=home), file, archive)  # type: ignore[arg-type]


CONFIG = """
socket = "/run/ecard/signer.sock"
journal = "/var/lib/ecard/journal"
key_file = "/var/lib/ecard/keys.json"
[[issuer]]
issuer = "https://issuer.example"
status_uri = "https://issuer.example/status-lists/{list}"
regions = ["330000"]
longest_validity_days = 400
longest_list_hours = 24
[[caller]]
name = "issuer"
user = "root"
profiles = ["credential", "event"]
create = true
per_hour = { credential = 5000, create = 4 }
"""


def test_the_rules_of_the_signer(tmp_path: Path) -> None:
    path = tmp_path / "signer.toml"
    path.write_text(CONFIG)
    config = read_config(path)
    (rules,), (caller,) = config.issuers, config.callers
    assert (rules.regions, rules.longest_validity, rules.longest_list_life) == (
        ("330000",),
        timedelta(days=400),
        timedelta(days=1),
    )
    assert (caller.name, caller.uid, caller.create) == ("issuer", 0, True)
    assert caller.profiles == {SigningProfile.CREDENTIAL, SigningProfile.EVENT}
    assert config.limits == {("issuer", "credential"): 5000, ("issuer", "create"): 4}
    assert config.key_archive == Path("/var/lib/ecard/vault-keys.jsonl")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("socket =", "soket =", "unknown_setting"),
        ("regions =", "region =", "unknown_setting"),
        ("create = true", "create = 1", "bad_setting"),
        ("create = true", "creates = true", "unknown_setting"),
        ("create = 4", "chip = 4", "unknown_setting"),
        ("credential = 5000", "credential = -1", "bad_setting"),
        ('["330000"]', '["33"]', "bad_setting"),
        ('["330000"]', '"330000"', "bad_setting"),
        ('"credential", "event"', '"credential", "any"', "bad_setting"),
        ('user = "root"', 'user = "nobody-of-this-name"', "bad_setting"),
        ('user = "root"', 'user = "root"\nuid = 0', "bad_setting"),
        ('user = "root"', "", "bad_setting"),
        ("/{list}", "/", "bad_setting"),
        ("= 400", "= 0", "bad_setting"),
        ("journal =", "# journal =", "bad_setting"),
        ("[[issuer]]", "[issuer]", "bad_setting"),
        ("[[caller]]", "[[caller]", "settings_unreadable"),
    ],
)
def test_a_wrong_rule_is_refused_by_its_place(tmp_path: Path, old: str, new: str, code: str) -> None:
    assert old in CONFIG
    path = tmp_path / "signer.toml"
    path.write_text(CONFIG.replace(old, new))
    with pytest.raises(InvalidInput) as refused:
        read_config(path)
    assert refused.value.code == code


def test_two_callers_are_two_users(tmp_path: Path) -> None:
    path = tmp_path / "signer.toml"
    again = CONFIG[CONFIG.index("[[caller]]") :].replace('"issuer"', '"other"', 1)
    path.write_text(CONFIG + again)
    with pytest.raises(InvalidInput, match="two callers"):
        read_config(path)
    path.write_text(CONFIG + again.replace('user = "root"', f"uid = {os.getuid() + 7}"))
    assert [caller.name for caller in read_config(path).callers] == ["issuer", "other"]


def test_settings_default_to_a_file_of_es256_keys() -> None:
    assert read_environment({}) == HomeSettings(home="file", algorithm=Algorithm.ES256)
