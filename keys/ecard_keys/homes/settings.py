"""Which home of keys is used, from the environment: for the signer process and for whoever else has no settings file.

`ECARD_KEY_HOME` is file, vault or pkcs11; each kind has its own settings. The issuer reads the same names with its own
reader. Adapters are imported only when they are chosen: each needs an extra.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, cast

from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput, Unavailable
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.key import KeyPurpose
from ecard_keys.signer import KeyHome

PREFIX: Final = "ECARD_"
#: Settings that may lie in a file of their own, named by `ECARD_<NAME>_FILE`.
SECRETS: Final = ("vault_secret_id", "pkcs11_pin")
_TEXTS: Final = ("key_home", "key_algorithm", "vault_addr", "vault_role_id", "vault_mount", "vault_namespace")
_NAMES: Final = frozenset({*_TEXTS, "event_key_home", "vault_prefix", "vault_ca", "pkcs11_module", "pkcs11_token"})
#: Other settings whose names begin alike.
_OTHERS: Final = frozenset({"key_passphrase", "key_passphrase_file", "signer_config", "signer_socket"})
_FAMILY: Final = re.compile(r"(key|vault|pkcs11|signer)_")
_EXTRAS: Final = {"vault": ("hvac", "ecard[vault]"), "pkcs11": ("pkcs11", "ecard[hsm]")}
_MAX_SECRET: Final = 65_536


@dataclass(frozen=True, slots=True)
class HomeSettings:
    """Where the keys live. `algorithm` is that of keys made from now on.

    `event_home`: beside another home the keys of events stay in the file. They sign the beats by which verifiers know
    that nothing has happened, every second: with `same`, counters say `check` as soon as that home is away.
    """

    home: Literal["file", "vault", "pkcs11"] = "file"
    event_home: Literal["file", "same"] = "file"
    algorithm: Algorithm = Algorithm.ES256
    vault_addr: str | None = None
    vault_role_id: str | None = None
    vault_secret_id: str | None = field(default=None, repr=False)
    vault_mount: str = "transit"
    vault_ca: Path | None = None
    vault_namespace: str | None = None
    vault_prefix: str = "ecard"
    pkcs11_module: Path | None = None
    pkcs11_token: str | None = None
    pkcs11_pin: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.home not in ("file", "vault", "pkcs11"):
            raise InvalidInput("bad_setting", "ECARD_KEY_HOME is file, vault or pkcs11")
        if self.event_home not in ("file", "same"):
            raise InvalidInput("bad_setting", "ECARD_EVENT_KEY_HOME is file or same")
        if self.algorithm not in (Algorithm.ES256, Algorithm.SM2):
            raise InvalidInput("bad_setting", "ECARD_KEY_ALGORITHM is ES256 or SM2")
        if self.algorithm is Algorithm.SM2 and self.home != "file":
            raise InvalidInput("bad_setting", "ECARD_KEY_ALGORITHM: SM2 keys are made in a file only")


def read_environment(environ: Mapping[str, str]) -> HomeSettings:
    """The settings in `environ`. Raises `InvalidInput` `unknown_setting`, `bad_setting`, `settings_unreadable`; the
    messages name settings and never their values."""
    given = {name[len(PREFIX) :].lower(): value for name, value in environ.items() if name.startswith(PREFIX)}
    known = {*_NAMES, *_OTHERS, *SECRETS, *(f"{name}_file" for name in SECRETS)}
    for name in sorted(given):
        if _FAMILY.match(name) and name not in known:
            raise InvalidInput("unknown_setting", f"environment variable {PREFIX}{name.upper()[:60]} is not a setting")
    text = {name: given[name] for name in _NAMES & given.keys()}
    try:
        algorithm = Algorithm(text.get("key_algorithm", "ES256"))
    except ValueError:
        raise InvalidInput("bad_setting", "ECARD_KEY_ALGORITHM is ES256 or SM2") from None
    return HomeSettings(
        home=cast(Literal["file", "vault", "pkcs11"], text.get("key_home", "file")),
        event_home=cast(Literal["file", "same"], text.get("event_key_home", "file")),
        algorithm=algorithm,
        vault_addr=text.get("vault_addr"),
        vault_role_id=text.get("vault_role_id"),
        vault_secret_id=read_secret(environ, "vault_secret_id"),
        vault_mount=text.get("vault_mount", "transit"),
        vault_ca=_path(text.get("vault_ca")),
        vault_namespace=text.get("vault_namespace"),
        vault_prefix=text.get("vault_prefix", "ecard"),
        pkcs11_module=_path(text.get("pkcs11_module")),
        pkcs11_token=text.get("pkcs11_token"),
        pkcs11_pin=read_secret(environ, "pkcs11_pin"),
    )


def read_secret(environ: Mapping[str, str], name: str) -> str | None:
    """The secret `ECARD_<NAME>`, or what lies in the file that `ECARD_<NAME>_FILE` names; None where neither is set.

    Raises `InvalidInput` `bad_setting` where both are or it is empty, `settings_unreadable`.
    """
    variable = f"{PREFIX}{name.upper()}"
    value, path = environ.get(variable), environ.get(f"{variable}_FILE")
    if path is not None:
        if value is not None:
            raise InvalidInput("bad_setting", f"{variable} is given twice, also as a file")
        try:
            with open(path, encoding="utf-8") as file:
                value = file.read(_MAX_SECRET).rstrip("\n")
        except (OSError, ValueError):
            raise InvalidInput("settings_unreadable", f"the file of {variable}_FILE cannot be read") from None
    if value is not None and not value:
        raise InvalidInput("bad_setting", f"{variable} is empty")
    return value


def open_home(settings: HomeSettings, file: FileKeyHome | None, archive: Path) -> KeyHome:
    """The home that `settings` name. Keys are made there; those in `file`, if there is one, go on signing, so that
    moving from a file to another home is one rotation. At `archive` lie the public halves of keys in Vault.

    Raises `InvalidInput` `bad_setting` for a missing setting or `file`, `Unavailable` `key_home_extra_missing`, and
    what the adapter raises. A home that is away is no error yet.
    """
    if settings.home == "file":
        if file is None:
            raise InvalidInput("bad_setting", "ECARD_KEY_HOME is file, and no key file is named")
        return file
    module, extra = _EXTRAS[settings.home]
    if find_spec(module) is None:
        raise Unavailable("key_home_extra_missing", f"ECARD_KEY_HOME={settings.home} needs: pip install '{extra}'")
    primary = _vault(settings, archive) if settings.home == "vault" else _pkcs11(settings)
    if file is None:
        return primary
    from ecard_keys.homes.several import Homes

    return Homes(primary, file, made_in={KeyPurpose.EVENT: file} if settings.event_home == "file" else {})


def _vault(settings: HomeSettings, archive: Path) -> KeyHome:
    from ecard_keys.homes.vault import VaultKeyHome
    from ecard_keys.homes.vault_session import VaultSettings

    return VaultKeyHome(
        VaultSettings(
            address=_needed(settings.vault_addr, "vault_addr"),
            role_id=_needed(settings.vault_role_id, "vault_role_id"),
            secret_id=_needed(settings.vault_secret_id, "vault_secret_id"),
            mount=settings.vault_mount,
            prefix=settings.vault_prefix,
            ca=settings.vault_ca,
            namespace=settings.vault_namespace,
        ),
        archive,
    )


def _pkcs11(settings: HomeSettings) -> KeyHome:
    from ecard_keys.homes.hsm import Pkcs11KeyHome
    from ecard_keys.homes.hsm_session import Pkcs11Settings

    return Pkcs11KeyHome(
        Pkcs11Settings(
            module=Path(_needed(str(settings.pkcs11_module or ""), "pkcs11_module")),
            token_label=_needed(settings.pkcs11_token, "pkcs11_token"),
            pin=_needed(settings.pkcs11_pin, "pkcs11_pin"),
        )
    )


def _needed(value: str | None, name: str) -> str:
    if not value:
        raise InvalidInput("bad_setting", f"{PREFIX}{name.upper()} is needed for this home of keys")
    return value


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
