"""The verifier's settings: environment over one optional TOML file, read once at start, frozen from then on."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from ecard_card.card import ChipAssurance
from ecard_card.errors import InvalidInput

PREFIX: Final = "ECARD_VERIFIER_"
TABLE: Final = "verifier"
#: Known here, used by whoever calls a verifier and not by the verifier itself.
_FOREIGN: Final = frozenset({"url"})
_MAX_FILE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class VerifierSettings:
    """Each is `ECARD_VERIFIER_<NAME>` in the environment or `<name>` in the table `[verifier]` of `ECARD_CONFIG`.

    Either `bundle` (offline) or `issuer_url`, `feed_token` and `trust_root` (live) is needed; `tokens` always.
    `feed_token` is a secret: `..._FEED_TOKEN_FILE` names a file that holds it; it may not stand in the TOML file.
    """

    data: Path  # directory of the mirror, the replay guard and the cached trust list
    tokens: Path  # ecard-tokens/1: hashes of the callers' tokens
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


def load_settings(environ: Mapping[str, str]) -> VerifierSettings:
    """Settings from `environ` and the TOML file it names. Raises `InvalidInput` `unknown_setting`,
    `setting_missing` or `bad_setting`, naming the setting and never its value."""
    values = _from_file(environ.get("ECARD_CONFIG", ""))
    for key, value in environ.items():
        if key.startswith(PREFIX):
            values[key.removeprefix(PREFIX).lower()] = value
    known = {item.name for item in fields(VerifierSettings)}
    unknown = sorted(set(values) - known - _FOREIGN - {"feed_token_file"})
    if unknown:
        raise InvalidInput("unknown_setting", f"{PREFIX}{unknown[0][:40].upper()} is no setting of the verifier")
    secret_file = values.pop("feed_token_file", None)
    if secret_file is not None:
        values["feed_token"] = _read("feed_token_file", Path(str(secret_file))).decode("ascii", "replace").strip()
    for name in ("data", "tokens"):
        if not values.get(name):
            raise InvalidInput("setting_missing", f"{PREFIX}{name.upper()} is needed")
    root, bundle = values.get("trust_root"), values.get("bundle")
    return VerifierSettings(
        data=Path(str(values["data"])),
        tokens=Path(str(values["tokens"])),
        issuer_url=str(values.get("issuer_url", "")).rstrip("/"),
        issuer=str(values.get("issuer", "")),
        feed_token=str(values.get("feed_token", "")),
        trust_root=Path(str(root)) if root else None,
        bundle=Path(str(bundle)) if bundle else None,
        audience=str(values["audience"]) if values.get("audience") else None,
        minimum_assurance=_assurance(str(values.get("minimum_assurance", "declared"))),
        host=str(values.get("host", "127.0.0.1")),
        port=_port(values.get("port", 8002)),
    )


def _from_file(path: str) -> dict[str, object]:
    if not path:
        return {}
    try:
        table = tomllib.loads(_read("ECARD_CONFIG", Path(path)).decode()).get(TABLE, {})
    except ValueError:
        raise InvalidInput("bad_setting", "the file that ECARD_CONFIG names is not TOML") from None
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


def _assurance(label: str) -> ChipAssurance:
    try:
        return ChipAssurance.from_label(label)
    except InvalidInput as error:
        raise InvalidInput("bad_setting", f"{PREFIX}MINIMUM_ASSURANCE: {error.detail}") from None


def _port(value: object) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise InvalidInput("bad_setting", f"{PREFIX}PORT is no port")
    return int(text)
