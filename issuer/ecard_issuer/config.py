"""The issuer's settings: read once at start, frozen, handed down.

Environment `ECARD_*` (`ECARD_…_FILE` for secrets) over the table `[issuer]` of one optional TOML file named by
`ECARD_CONFIG`. Unknown keys are errors, and no secret has a default. `ECARD_VERIFIER_*` and `[verifier]` are the
verifier's, in the same environment and file: `ecard_verifier.config` reads them, here only their names are looked at.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from ecard_card.errors import InvalidInput
from ecard_keys.homes.settings import SECRETS as HOME_SECRETS
from ecard_verifier.config import NAMES as VERIFIER_NAMES
from ecard_verifier.config import SHARED_NAMES

_S = TypeVar("_S", bound=BaseSettings)

PREFIX: Final = "ECARD_"
REGISTER_FILE: Final = "register.sqlite3"
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.:\[\]-]{1,253}(:[0-9]{1,5})?")
_SECRETS: Final = ("key_passphrase", "database_url", *HOME_SECRETS)
_VERIFIER: Final = "verifier_"
_TABLES: Final = frozenset({"issuer", "verifier"})


class HostedIssuer(BaseModel):
    """One `[[issuer.hosted]]`: another issuer in this process, with a register, keys and a feed of its own, under the
    same trust roots. What is not said here is as for the main one."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    public_origin: str
    regions: tuple[str, ...] = Field(min_length=1)
    issuer_name: str = Field(default="ecard", min_length=1, max_length=100)
    #: Default: a folder in the main data directory, named after the host.
    data_dir: Path | None = None
    #: File with an SQLAlchemy URL; default: an SQLite file in `data_dir`.
    database_url_file: Path | None = None

    @field_validator("public_origin")
    @classmethod
    def _bare_origin(cls, value: str) -> str:
        return _bare(value)

    @field_validator("regions")
    @classmethod
    def _six_digits(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _codes(value)


class IssuerSettings(BaseSettings):
    """All that an operator can set. Construct it with `load`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )

    data_dir: Path = Path("data")
    #: SQLAlchemy URL; default: an SQLite file in `data_dir`. May hold a password.
    database_url: SecretStr | None = None
    host: str = Field(default="127.0.0.1", min_length=1, max_length=255)
    port: int = Field(default=8420, ge=0, le=65535)  # 0: any free one
    #: Where health and metrics are told besides, without tokens; without a port nowhere.
    management_port: int | None = Field(default=None, ge=0, le=65535)
    management_host: str = Field(default="127.0.0.1", min_length=1, max_length=255)
    #: The URL the world reaches us by; part of every credential. Default: of the register, else http://127.0.0.1:port.
    public_origin: str | None = None
    #: Opens the key files. Default: a random one made at first start in `data_dir`.
    key_passphrase: SecretStr | None = None
    #: Where the signing keys live; see `ecard_keys.homes.settings`, which has the same names.
    key_home: Literal["file", "vault", "pkcs11"] = "file"
    #: Beside another home the keys of events stay in the file, lest its absence makes every counter say `check`.
    event_key_home: Literal["file", "same"] = "file"
    key_algorithm: Literal["ES256", "SM2"] = "ES256"  # of keys made from now on
    vault_addr: str | None = None
    vault_role_id: str | None = None
    vault_secret_id: SecretStr | None = None
    vault_mount: str = "transit"
    vault_ca: Path | None = None
    vault_namespace: str | None = None
    vault_prefix: str = "ecard"
    pkcs11_module: Path | None = None
    pkcs11_token: str | None = None
    pkcs11_pin: SecretStr | None = None
    #: Unix socket of `ecard key serve`: this process then holds no signing key and opens no home of them.
    signer_socket: Path | None = None
    #: The roots that verifiers pin, where their keys are kept offline: this process then has no root key.
    trust_root: Path | None = None
    #: How many people besides the one who asks must agree to a dangerous change; 0 switches four eyes off.
    approvals_needed: int = Field(default=1, ge=0, le=5)
    #: The longest that any verifier goes on with the trust list it has.
    verifier_cache_seconds: int = Field(default=86_400, ge=0, le=366 * 86_400)
    issuer_name: str = Field(default="ecard", min_length=1, max_length=100)
    #: Codes of GB/T 2260 this issuer may sign for, separated by commas; none given: the whole country.
    regions: Annotated[tuple[str, ...], NoDecode] = ()
    #: Simulated chips live under a trust anchor that production refuses.
    allow_test_chips: bool = False
    credential_days: int = Field(default=365, ge=1, le=3650)
    #: The least proof of the chip that this issuer binds on.
    minimum_chip_proof: Literal["declared", "read", "challenge", "signature"] = "read"
    #: PEM file of the authorities whose chip certificates are believed; the name of one is its common name.
    chip_anchors: Path | None = None
    #: File of 32 hex digits, mode 600: the master key that judges shared-key chips, where no HSM does.
    chip_master_key_file: Path | None = None
    chip_key_holder: str = Field(default="local", min_length=1, max_length=64)
    trust_list_days: int = Field(default=30, ge=1, le=366)
    status_ttl: int = Field(default=60, ge=1, le=86400)  # seconds a status list may be cached
    #: At the latest after so many seconds a change stands in a signed delta; with fewer there are more deltas.
    status_delta_seconds: int = Field(default=25, ge=1, le=55)
    #: How old the newest snapshot of the feed may get; 0: none is made by itself. Verifiers take none older than a day.
    feed_snapshot_hours: int = Field(default=12, ge=0, le=20)
    status_hours: int = Field(default=24, ge=1, le=168)  # a status list's life
    #: What one comparison of a PIN or e-card password costs (argon2id); OWASP's minimum is the least.
    pin_hash_kib: int = Field(default=19_456, ge=19_456, le=1 << 20)
    pin_hash_rounds: int = Field(default=2, ge=2, le=20)
    #: Wrong PINs and e-card passwords of one caller in an hour, whichever cards they were for.
    pin_guesses_per_hour: int = Field(default=100, ge=1, le=1_000_000)
    pin_guesses_per_hour_channel: int = Field(default=10_000, ge=1, le=100_000_000)

    #: Where a test issuer is reached, which is hosted beside the live one with keys, people and roots of its own.
    test_origin: str | None = None
    #: This register is a test issuer's, and stays one: simulated chips, magic people, credentials marked for good.
    test_mode: bool = False
    #: Of a test issuer: where the live one is, for whoever knocks at the wrong door.
    live_origin: str | None = None
    #: Calls a minute of one address, of routes that ask for no token; 0: any number (a proxy in front counts them).
    open_calls_per_minute: int = Field(default=1200, ge=0, le=1_000_000)
    #: Networks (CIDR, separated by commas) of proxies in front, whose `X-Forwarded-For` says who calls; those that set
    #: `client_cert_header` remove a client's own.
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    #: A person looks at every wallet's request before anything is issued, not only where its offer says so.
    wallet_review: bool = False

    #: Names of verifiers, separated by commas, that may be told whole names and numbers of who shows a card; others
    #: are told masked ones only.
    full_facts_to: Annotated[tuple[str, ...], NoDecode] = ()

    #: File of lines `network,name`: what people are told of where a desktop is that wants to log in.
    login_regions: Path | None = None

    #: Where the desk agent of a clerk's machine listens; the page /desk asks 127.0.0.1 there.
    desk_port: int = Field(default=8429, ge=1, le=65535)

    #: Networks (CIDR, separated by commas) where partners may receive although they are not public, plain http too.
    partner_networks: Annotated[tuple[str, ...], NoDecode] = ()

    #: Header in which a reverse proxy passes the client's certificate on (RFC 9440, or PEM with percent escapes), for
    #: mutual TLS. Believed from `trusted_proxies` only, and not at all without them.
    client_cert_header: str | None = Field(default=None, pattern="^[A-Za-z][A-Za-z0-9-]{0,63}$")
    #: DPoP proofs must carry a nonce of ours (RFC 9449 §8): dearer, and proofs cannot be made ahead.
    dpop_nonce: bool = False

    #: More issuers in this process; in the settings file only.
    hosted: Annotated[tuple[HostedIssuer, ...], NoDecode] = Field(default=(), max_length=64)

    @field_validator("regions", "partner_networks", "trusted_proxies", "full_facts_to", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("regions")
    @classmethod
    def _six_digits(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _codes(value)

    @field_validator("partner_networks", "trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network)  # its ValueError says what is wrong
        return value

    @field_validator("public_origin", "test_origin", "live_origin")
    @classmethod
    def _bare_origin(cls, value: str | None) -> str | None:
        return None if value is None else _bare(value)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments of `load` over the environment; `load` itself reads the files."""
        return init_settings, env_settings

    @property
    def sqlalchemy_url(self) -> str:
        """The database's address, which may hold a password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{(self.data_dir / REGISTER_FILE).absolute()}"

    def having(self, **changes: object) -> Self:
        """These settings with some replaced, checked anew. Raises `InvalidInput` `bad_setting`."""
        return _checked(type(self), {**self.model_dump(), **changes})


def _bare(origin: str) -> str:
    if not _ORIGIN.fullmatch(origin):
        raise ValueError("want scheme and host in lower case, without a path: https://issuer.example")
    return origin


def _codes(regions: tuple[str, ...]) -> tuple[str, ...]:
    if not all(re.fullmatch(r"[0-9]{6}", region) for region in regions):
        raise ValueError("a region is six digits")
    return regions


#: Every `ECARD_<NAME>` of the issuer, in lower case.
NAMES: Final = frozenset({*IssuerSettings.model_fields, *(f"{name}_file" for name in _SECRETS)})


def load(**given: Any) -> IssuerSettings:
    """Settings from `given` (command line) over the environment over the TOML file over the defaults.

    Raises `InvalidInput`: `unknown_setting` (also for a name that would be the verifier's), `bad_setting`,
    `settings_unreadable`. The messages name settings and never their values.
    """
    environ = {name[len(PREFIX) :].lower(): value for name, value in os.environ.items() if name.startswith(PREFIX)}
    known = {*NAMES, *SHARED_NAMES, *(_VERIFIER + name for name in VERIFIER_NAMES)}
    _refuse_unknown(environ, known, "environment variable ECARD_{}")
    values = _toml(environ["config"]) if "config" in environ else {}
    for name in _SECRETS:
        values.update(_secret(name, environ, values))
    for name in NAMES & environ.keys():
        values.pop(name, None)  # the environment's own value is read by pydantic
    return _checked(IssuerSettings, {**values, **{name: value for name, value in given.items() if value is not None}})


def _checked(kind: type[_S], values: Mapping[str, Any]) -> _S:
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        fault = first["msg"].removeprefix("Value error, ")
        raise InvalidInput("bad_setting", f"ECARD_{name.upper()}: {fault}") from None


def _refuse_unknown(names: Mapping[str, object], known: Collection[str], form: str) -> None:
    for name in sorted(names):
        if name not in known:
            raise InvalidInput("unknown_setting", f"{form.format(name.upper()[:60])} is not a setting")


def _toml(path: str) -> dict[str, Any]:
    try:
        content = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError):
        raise InvalidInput("settings_unreadable", "the file named by ECARD_CONFIG is no readable TOML") from None
    _refuse_unknown(content, _TABLES, "table {} in the settings file")
    for table, known in (("issuer", NAMES), ("verifier", VERIFIER_NAMES)):
        values = content.setdefault(table, {})
        if not isinstance(values, dict):
            raise InvalidInput("settings_unreadable", f"{table} is no table in the settings file")
        _refuse_unknown(values, known, f"key {{}} in [{table}] of the settings file")
    return dict(content["issuer"])


def _secret(name: str, environ: Mapping[str, str], values: dict[str, Any]) -> dict[str, str]:
    """A secret that lies in a file of its own. Takes the file's name out of `values`."""
    listed = values.pop(f"{name}_file", None)
    for place, path in ((environ, environ.get(f"{name}_file")), (values, listed)):
        if path is not None and name in place:
            raise InvalidInput("bad_setting", f"ECARD_{name.upper()} is given twice, also as a file")
    if name in environ or (path := environ.get(f"{name}_file", listed)) is None:
        return {}
    return {name: _read_secret(Path(str(path)), name)}


def _read_secret(path: Path, name: str) -> str:
    try:
        text = path.read_text("utf-8").rstrip("\n")
    except (OSError, ValueError):
        raise InvalidInput("settings_unreadable", f"the file of ECARD_{name.upper()}_FILE cannot be read") from None
    if not text:
        raise InvalidInput("bad_setting", f"the file of ECARD_{name.upper()}_FILE is empty")
    return text
