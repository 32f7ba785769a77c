"""The verifier's settings: environment over one optional TOML file, read once at start, frozen from then on."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from ecard_card.card import ChipAssurance
from ecard_card.errors import InvalidInput

PREFIX: Final = "ECARD_VERIFIER_"
TABLE: Final = "verifier"
TOKENS_FILE: Final = "tokens.json"
#: `ECARD_<NAME>` that belong to the whole house: the settings file, what callers of a service and test runs set.
SHARED_NAMES: Final = frozenset({"config", "require_all", "token", "token_file"})
_HOUSE: Final = "ECARD_"
_DATA: Final = "verifier-data"
#: Known here, used by whoever calls a verifier and not by the verifier itself.
_FOREIGN: Final = frozenset({"url"})
_MAX_FILE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class VerifierSettings:
    """Each is `ECARD_VERIFIER_<NAME>` in the environment or `<name>` in the table `[verifier]` of `ECARD_CONFIG`.

    Either `bundle` (offline) or `issuer_url`, `feed_token` and `trust_root` (live) is needed.
    `feed_token` is a secret: `..._FEED_TOKEN_FILE` names a file that holds it; it may not stand in the TOML file.
    """

    data: Path  # directory of the mirror, the replay guard and the cached trust list; default: verifier-data
    tokens: Path  # ecard-tokens/1: hashes of the callers' tokens; default: tokens.json in `data`
    issuer_url: str = ""  # base URL; also the `iss` that is followed, unless `issuer` says otherwise
    issuer: str = ""
    feed_token: str = field(default="", repr=False)
    trust_root: Path | None = None  # ecard-trust-root/1
    bundle: Path | None = None  # ecard-bundle/1
    audience: str | None = None
    minimum_assurance: ChipAssurance = ChipAssurance.DECLARED
    host: str = "127.0.0.1"
    port: int = 8002

    def __post_init__(self) -> None:
        if self.bundle is None:
            for name in ("issuer_url", "feed_token", "trust_root"):
                if not getattr(self, name):
                    raise InvalidInput("setting_missing", f"{PREFIX}{name.upper()} is needed (or {PREFIX}BUNDLE)")
            if not self.issuer_url.startswith(("https://", "http://")):
                raise InvalidInput("bad_setting", f"{PREFIX}ISSUER_URL is no http(s) URL")
        if not 0 <= self.port <= 65535:
            raise InvalidInput("bad_setting", f"{PREFIX}PORT is no port")


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """What of a verifier's settings means something in the issuer's process; the rest is the issuer's own."""

    audience: str | None = None
    minimum_assurance: ChipAssurance = ChipAssurance.DECLARED


#: Every `ECARD_VERIFIER_<NAME>`, in lower case.
NAMES: Final = frozenset({item.name for item in fields(VerifierSettings)} | _FOREIGN | {"feed_token_file"})


def load_embedded(environ: Mapping[str, str], issuer_names: Collection[str]) -> EmbeddedSettings:
    """As `load_settings`, for the verifier beside an issuer in one process. Also raises `bad_setting` for a setting
    of the verifier that has no meaning there: it would be ignored unseen."""
    values = _values(environ, issuer_names)
    lost = sorted(set(values) - {item.name for item in fields(EmbeddedSettings)} - _FOREIGN)
    if lost:
        raise InvalidInput("bad_setting", f"{PREFIX}{lost[0].upper()} is for a verifier by itself: `serve verifier`")
    return EmbeddedSettings(_audience(values), _assurance(values))


def load_places(environ: Mapping[str, str], issuer_names: Collection[str]) -> tuple[Path, Path]:
    """The data directory and the file of callers, whatever else may be missing."""
    return _places(_values(environ, issuer_names))


def load_settings(environ: Mapping[str, str], issuer_names: Collection[str] = ()) -> VerifierSettings:
    """Settings from `environ` and the TOML file it names. `issuer_names` are the lower-case names of an issuer on the
    same machine: every other `ECARD_*` is a typo. Raises `InvalidInput` `unknown_setting`, `setting_missing` or
    `bad_setting`, naming the setting and never its value."""
    values = _values(environ, issuer_names)
    secret_file = values.pop("feed_token_file", None)
    if secret_file is not None:
        values["feed_token"] = _read("feed_token_file", Path(str(secret_file))).decode("ascii", "replace").strip()
    data, tokens = _places(values)
    root, bundle = values.get("trust_root"), values.get("bundle")
    return VerifierSettings(
        data=data,
        tokens=tokens,
        issuer_url=str(values.get("issuer_url", "")).rstrip("/"),
        issuer=str(values.get("issuer", "")),
        feed_token=str(values.get("feed_token", "")),
        trust_root=Path(str(root)) if root else None,
        bundle=Path(str(bundle)) if bundle else None,
        audience=_audience(values),
        minimum_assurance=_assurance(values),
        host=str(values.get("host", "127.0.0.1")),
        port=_port(values.get("port", 8002)),
    )


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
    if "feed_token" in table:
        raise InvalidInput("bad_setting", "feed_token may not stand in the settings file; use feed_token_file")
    return dict(table)


def _read(name: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE)
    except OSError:
        raise InvalidInput("bad_setting", f"the file that {name} names cannot be read") from None


def _audience(values: Mapping[str, object]) -> str | None:
    return str(values["audience"]) if values.get("audience") else None


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
