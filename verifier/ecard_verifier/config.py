"""The verifier's settings: environment over one optional TOML file, read once at start, frozen from then on."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ecard_card.card import ChipAssurance
from ecard_card.errors import InvalidInput

PREFIX: Final = "ECARD_VERIFIER_"
TABLE: Final = "verifier"
TOKENS_FILE: Final = "tokens.json"
#: What clients read: channels' back ends, counters, developers' commands. It may stand in a server's environment too.
CLIENT_NAMES: Final = frozenset(
    {"app_id", "key_file", "key_id", "base_url", "webhook_secret", "counter_token", "operator_token"}
)
#: Of the agent on a clerk's machine.
_DESK_NAMES: Final = ("desk_port", "desk_origins", "desk_data")
#: `ECARD_<NAME>` that belong to the whole house: the settings files of services and of the signer, what callers of a
#: service and test runs set.
SHARED_NAMES: Final = frozenset(
    {"config", "require_all", "signer_config", "token", "token_file", *_DESK_NAMES, *CLIENT_NAMES}
)
_HOUSE: Final = "ECARD_"
_DATA: Final = "verifier-data"
#: Known here, used by whoever calls a verifier or makes keys for it, and not by the verifier itself.
_FOREIGN: Final = frozenset({"cache_seconds", "url"})
_MAX_FILE: Final = 1 << 20
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.:\[\]-]{1,255}")  # as browsers write it, and fit for a header
_SECRETS: Final = ("feed_token", "key_passphrase")
#: Feeds followed by one verifier; each is a connection and a thread.
MAX_ISSUERS: Final = 64
#: Systems whose pages may be told: all of them stand in a header of `/counter`.
MAX_ORIGINS: Final = 32


class FetchStatuses(StrEnum):
    """From where status lists of issuers that are not followed may be fetched: hosts on the trust list, and of them…"""

    HTTPS = "https"
    LOOPBACK = "loopback"  # also http, from this machine
    NO = "no"


@dataclass(frozen=True, slots=True)
class FollowedIssuer:
    """An issuer whose feed is followed: its base URL, the `iss` it signs as, and a token of role `verifier` there."""

    url: str
    issuer: str
    feed_token: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.url.startswith(("https://", "http://")):
            raise InvalidInput("bad_setting", f"{PREFIX}ISSUER_URL is no http(s) URL")


@dataclass(frozen=True, slots=True)
class VerifierSettings:
    """Each is `ECARD_VERIFIER_<NAME>` in the environment or `<name>` in the table `[verifier]` of `ECARD_CONFIG`.

    Either `bundle` (offline), or `trust_root` and someone to follow (live) is needed: `issuer_url` and `feed_token`,
    tables `[[verifier.issuers]]` of the settings file (`url`, `issuer`, `feed_token_file`), or both.
    `feed_token` and `key_passphrase` are secrets: `..._FEED_TOKEN_FILE` and `..._KEY_PASSPHRASE_FILE` name files that
    hold them; neither may stand in the TOML file.
    """

    data: Path  # directory of the mirror, the replay guard and the cached trust list; default: verifier-data
    tokens: Path  # ecard-tokens/1: hashes of the callers' tokens; default: tokens.json in `data`
    issuer_url: str = ""  # base URL; also the `iss` that is followed, unless `issuer` says otherwise
    issuer: str = ""
    feed_token: str = field(default="", repr=False)
    trust_root: Path | None = None  # ecard-trust-root/2
    bundle: Path | None = None  # ecard-bundle/1
    audience: str | None = None
    minimum_assurance: ChipAssurance = ChipAssurance.DECLARED
    host: str = "127.0.0.1"
    port: int = 8002
    issuers: tuple[FollowedIssuer, ...] = ()  # in the file only
    fetch_statuses: FetchStatuses = FetchStatuses.HTTPS
    purposes: Path | None = None  # ecard-purposes/1, in the place of our own
    public_url: str = ""  # https, as wallets reach this verifier: with it, they can be asked
    key_passphrase: str = field(default="", repr=False)  # of those keys; default: the file key-passphrase in `data`
    trusted_issuers: Path | None = None  # ecard-trusted-issuers/1: other issuers whose credentials are accepted
    counter_origins: tuple[str, ...] = ()  # pages of systems that hear of verifications on the counter's page
    trusted_proxies: tuple[str, ...] = ()  # networks whose `X-Forwarded-For` is believed
    management_host: str = "127.0.0.1"
    management_port: int | None = None  # health and metrics; none without it

    def __post_init__(self) -> None:
        if self.bundle is None:
            alone = ("issuer_url", "feed_token") if self.issuer_url or not self.issuers else ()
            for name in (*alone, "trust_root"):
                if not getattr(self, name):
                    raise InvalidInput("setting_missing", f"{PREFIX}{name.upper()} is needed (or {PREFIX}BUNDLE)")
            names = [followed.issuer for followed in self.followed]
            if len(names) > MAX_ISSUERS or len(set(names)) != len(names):
                raise InvalidInput("bad_setting", f"{PREFIX}ISSUERS: too many, or one issuer twice")
        if not 0 <= self.port <= 65535 or not 0 <= (self.management_port or 0) <= 65535:
            raise InvalidInput("bad_setting", f"{PREFIX}PORT is no port")
        if self.public_url and not _is_origin(self.public_url):
            raise InvalidInput("bad_setting", f"{PREFIX}PUBLIC_URL is no https origin (http on this machine only)")

    @property
    def followed(self) -> tuple[FollowedIssuer, ...]:
        """Everyone to follow; the issuer of the single settings first."""
        if not self.issuer_url:
            return self.issuers
        return (FollowedIssuer(self.issuer_url, self.issuer or self.issuer_url, self.feed_token), *self.issuers)


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """What of a verifier's settings means something in the issuer's process; the rest is the issuer's own."""

    audience: str | None = None
    minimum_assurance: ChipAssurance = ChipAssurance.DECLARED
    fetch_statuses: FetchStatuses = FetchStatuses.HTTPS
    purposes: Path | None = None
    trusted_issuers: Path | None = None
    counter_origins: tuple[str, ...] = ()


#: Every `ECARD_VERIFIER_<NAME>`, in lower case.
NAMES: Final = frozenset(
    {item.name for item in fields(VerifierSettings)} | _FOREIGN | {f"{name}_file" for name in _SECRETS}
)


def load_embedded(environ: Mapping[str, str], issuer_names: Collection[str]) -> EmbeddedSettings:
    """As `load_settings`, for the verifier beside an issuer in one process. Also raises `bad_setting` for a setting
    of the verifier that has no meaning there: it would be ignored unseen."""
    values = _values(environ, issuer_names)
    lost = sorted(set(values) - {item.name for item in fields(EmbeddedSettings)} - _FOREIGN)
    if lost:
        raise InvalidInput("bad_setting", f"{PREFIX}{lost[0].upper()} is for a verifier by itself: `serve verifier`")
    return EmbeddedSettings(
        _audience(values),
        _assurance(values),
        _fetch_statuses(values.get("fetch_statuses", "https")),
        _purposes(values),
        _path(values.get("trusted_issuers")),
        _origins(values.get("counter_origins", ())),
    )


def load_places(environ: Mapping[str, str], issuer_names: Collection[str]) -> tuple[Path, Path]:
    """The data directory and the file of callers, whatever else may be missing."""
    return _places(_values(environ, issuer_names))


def load_purposes_file(environ: Mapping[str, str], issuer_names: Collection[str]) -> Path | None:
    """The operator's own file of purposes, whatever else may be missing."""
    return _purposes(_values(environ, issuer_names))


def load_request_keys(environ: Mapping[str, str], issuer_names: Collection[str]) -> tuple[Path, str]:
    """The data directory and the passphrase of the keys in it, empty where none is set."""
    values = _values(environ, issuer_names)
    _read_secrets(values)
    return _places(values)[0], str(values.get("key_passphrase", ""))


def load_settings(environ: Mapping[str, str], issuer_names: Collection[str] = ()) -> VerifierSettings:
    """Settings from `environ` and the TOML file it names. `issuer_names` are the lower-case names of an issuer on the
    same machine: every other `ECARD_*` is a typo. Raises `InvalidInput` `unknown_setting`, `setting_missing` or
    `bad_setting`, naming the setting and never its value."""
    values = _values(environ, issuer_names)
    _read_secrets(values)
    data, tokens = _places(values)
    return VerifierSettings(
        data=data,
        tokens=tokens,
        issuer_url=str(values.get("issuer_url", "")).rstrip("/"),
        issuer=str(values.get("issuer", "")),
        feed_token=str(values.get("feed_token", "")),
        trust_root=_path(values.get("trust_root")),
        bundle=_path(values.get("bundle")),
        audience=_audience(values),
        minimum_assurance=_assurance(values),
        host=str(values.get("host", "127.0.0.1")),
        port=_port(values.get("port", 8002)),
        issuers=_issuers(values.get("issuers", [])),
        fetch_statuses=_fetch_statuses(values.get("fetch_statuses", "https")),
        purposes=_purposes(values),
        public_url=str(values.get("public_url", "")).rstrip("/"),
        key_passphrase=str(values.get("key_passphrase", "")),
        trusted_issuers=_path(values.get("trusted_issuers")),
        counter_origins=_origins(values.get("counter_origins", ())),
        trusted_proxies=_networks(values.get("trusted_proxies", ())),
        management_host=str(values.get("management_host", "127.0.0.1")),
        management_port=_port(values["management_port"]) if values.get("management_port") else None,
    )


def _issuers(value: object) -> tuple[FollowedIssuer, ...]:
    """The tables `[[verifier.issuers]]`."""
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        raise InvalidInput("bad_setting", f"{PREFIX}ISSUERS: tables [[verifier.issuers]] of the settings file only")
    found = []
    for table in value:
        unknown = sorted(set(table) - {"url", "issuer", "feed_token_file"})
        if unknown:
            raise InvalidInput("unknown_setting", f"key {unknown[0][:60]} in [[verifier.issuers]] is no setting")
        for name in ("url", "feed_token_file"):
            if not isinstance(table.get(name), str) or not table[name]:
                raise InvalidInput("setting_missing", f"{name} is needed in each [[verifier.issuers]]")
        url = str(table["url"]).rstrip("/")
        token = _read("feed_token_file", Path(table["feed_token_file"])).decode("ascii", "replace").strip()
        found.append(FollowedIssuer(url, str(table.get("issuer") or url), token))
    return tuple(found)


def _origins(value: object) -> tuple[str, ...]:
    """A list, or a text with spaces between them."""
    listed = value.split() if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or len(listed) > MAX_ORIGINS or not all(map(_is_plain_origin, listed)):
        raise InvalidInput("bad_setting", f"{PREFIX}COUNTER_ORIGINS: want https origins (http on this machine only)")
    return tuple(str(one) for one in listed)


def _networks(value: object) -> tuple[str, ...]:
    """A list, or a text with commas between them, as the issuer's setting has it."""
    listed = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    try:
        if not isinstance(listed, list | tuple) or not all(isinstance(one, str) for one in listed):
            raise ValueError
        return tuple(str(ipaddress.ip_network(one)) for one in listed)
    except ValueError:
        raise InvalidInput("bad_setting", f"{PREFIX}TRUSTED_PROXIES: want networks, as 10.0.0.0/8") from None


def _fetch_statuses(value: object) -> FetchStatuses:
    try:
        return FetchStatuses(str(value))
    except ValueError:
        raise InvalidInput("bad_setting", f"{PREFIX}FETCH_STATUSES: want https, loopback or no") from None


def _values(environ: Mapping[str, str], issuer_names: Collection[str]) -> dict[str, object]:
    """The verifier's settings as they stand, every name in the house's space looked at."""
    values = _from_file(environ.get("ECARD_CONFIG", ""), issuer_names)
    house = SHARED_NAMES | set(issuer_names)
    for key, value in sorted(environ.items()):
        if key.startswith(PREFIX):
            values[key.removeprefix(PREFIX).lower()] = value
        elif key.startswith(_HOUSE) and key.removeprefix(_HOUSE).lower() not in house:
            raise InvalidInput("unknown_setting", f"environment variable {key[:60]} is not a setting")
    unknown = sorted(set(values) - NAMES)
    if unknown:
        raise InvalidInput("unknown_setting", f"{PREFIX}{unknown[0][:40].upper()} is no setting of the verifier")
    return values


def _read_secrets(values: dict[str, object]) -> None:
    """Put what the files of secrets hold in the place of their names."""
    for name in _SECRETS:
        secret_file = values.pop(f"{name}_file", None)
        if secret_file is not None:
            values[name] = _read(f"{name}_file", Path(str(secret_file))).decode("utf-8", "replace").strip()


def _places(values: Mapping[str, object]) -> tuple[Path, Path]:
    data = Path(str(values.get("data") or _DATA))
    return data, Path(str(values.get("tokens") or data / TOKENS_FILE))


def _from_file(path: str, issuer_names: Collection[str]) -> dict[str, object]:
    if not path:
        return {}
    try:
        content = tomllib.loads(_read("ECARD_CONFIG", Path(path)).decode())
    except ValueError:
        raise InvalidInput("bad_setting", "the file that ECARD_CONFIG names is not TOML") from None
    unknown = sorted(set(content) - {TABLE, "issuer"})
    if unknown:
        raise InvalidInput("unknown_setting", f"table {unknown[0][:60]} in the settings file is not a setting")
    other = content.get("issuer", {})
    unknown = sorted(set(other) - set(issuer_names)) if issuer_names and isinstance(other, dict) else []
    if unknown:
        raise InvalidInput("unknown_setting", f"key {unknown[0][:60]} in [issuer] of the settings file is no setting")
    table = content.get(TABLE, {})
    if not isinstance(table, dict):
        raise InvalidInput("bad_setting", f"[{TABLE}] is no table")
    for name in _SECRETS:
        if name in table:
            raise InvalidInput("bad_setting", f"{name} may not stand in the settings file; use {name}_file")
    return dict(table)


def _read(name: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE)
    except OSError:
        raise InvalidInput("bad_setting", f"the file that {name} names cannot be read") from None


def _path(value: object) -> Path | None:
    return Path(str(value)) if value else None


def _is_plain_origin(value: object) -> bool:
    return isinstance(value, str) and _ORIGIN.fullmatch(value) is not None and _is_origin(value)


def _is_origin(url: str) -> bool:
    """`https://host[:port]`, or http to this machine."""
    try:
        parts = urlsplit(url)
        bare = parts.hostname and not (parts.path or parts.query or parts.fragment) and "@" not in parts.netloc
        _ = parts.port
    except ValueError:
        return False
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    return bool(bare) and (parts.scheme == "https" or local)


def _audience(values: Mapping[str, object]) -> str | None:
    return str(values["audience"]) if values.get("audience") else None


def _purposes(values: Mapping[str, object]) -> Path | None:
    return Path(str(values["purposes"])) if values.get("purposes") else None


def _assurance(values: Mapping[str, object]) -> ChipAssurance:
    try:
        return ChipAssurance.from_label(str(values.get("minimum_assurance", "declared")))
    except InvalidInput as error:
        raise InvalidInput("bad_setting", f"{PREFIX}MINIMUM_ASSURANCE: {error.detail}") from None


def _port(value: object) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise InvalidInput("bad_setting", f"{PREFIX}PORT is no port")
    return int(text)
