"""The rules of the signer process, from the TOML file that `ECARD_SIGNER_CONFIG` names.

Whoever may write this file decides what is signed for whom; it belongs to root, and is read once at start. Unknown
keys are errors. An example is in `docs/decisions/0021-power-divided.md`.
"""

from __future__ import annotations

import grp
import pwd
import re
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

from ecard_card.errors import InvalidInput
from ecard_keys.desk.desk import SigningProfile, SigningRules
from ecard_keys.desk.quotas import CREATE, MAX_LIMIT, REFUSED, Limits

_T = TypeVar("_T")
_REGION: Final = re.compile(r"[0-9]{6}")
_URL: Final = re.compile(r"https?://[\x21-\x7e]{1,500}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TOP: Final = frozenset({"socket", "group", "journal", "key_file", "key_archive", "issuer", "caller"})
_ISSUER: Final = frozenset({"issuer", "status_uri", "regions", "longest_validity_days", "longest_list_hours"})
_CALLER: Final = frozenset({"name", "user", "uid", "profiles", "create", "per_hour"})
_QUOTAS: Final = frozenset({*(profile.value for profile in SigningProfile), CREATE, REFUSED})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who may ask: the kernel says the uid, the journal says the name. `create`: may have keys made."""

    name: str
    uid: int
    profiles: frozenset[SigningProfile]
    create: bool


@dataclass(frozen=True, slots=True)
class SignerConfig:
    """All that the signer process obeys. `key_file` None: no key lies in a file. At `key_archive` lie the public
    halves of keys in Vault; by default beside the journal's folder."""

    socket: Path | None
    group: int | None
    journal: Path
    key_file: Path | None
    key_archive: Path
    issuers: tuple[SigningRules, ...]
    callers: tuple[Caller, ...]
    limits: Limits


def read_config(path: Path) -> SignerConfig:
    """Raises `InvalidInput` `settings_unreadable`, `unknown_setting`, `bad_setting`, each naming the place; also for a
    file that everybody may write."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
        open_to_all = path.stat().st_mode & stat.S_IWOTH
    except (OSError, ValueError):
        raise InvalidInput("settings_unreadable", "the file named by ECARD_SIGNER_CONFIG is no readable TOML") from None
    if open_to_all:
        raise InvalidInput("bad_setting", "the file named by ECARD_SIGNER_CONFIG: everybody may write it")
    _known(content, _TOP, "the signer's settings")
    issuers = tuple(_issuer(_Table(item, _ISSUER, "[[issuer]]")) for item in _tables(content, "issuer"))
    callers, limits = [], {}
    for item in _tables(content, "caller"):
        table = _Table(item, _CALLER, "[[caller]]")
        callers.append(_caller(table))
        limits.update(_limits(callers[-1].name, table))
    if len({caller.uid for caller in callers}) != len(callers) or len({caller.name for caller in callers}) != len(
        callers
    ):
        raise _bad("[[caller]]", "two callers have one name or one uid")
    top = _Table(content, _TOP, "the signer's settings")
    socket, key_file, archive, group = (top.get(name, str) for name in ("socket", "key_file", "key_archive", "group"))
    journal = Path(top.need("journal", str))
    return SignerConfig(
        socket=Path(socket) if socket else None,
        group=None if group is None else _system(grp.getgrnam, group, "group").gr_gid,
        journal=journal,
        key_file=Path(key_file) if key_file else None,
        key_archive=Path(archive) if archive else journal.parent / "vault-keys.jsonl",
        issuers=issuers,
        callers=tuple(callers),
        limits=limits,
    )


class _Table:
    """A table whose keys are known, read by type."""

    def __init__(self, values: Mapping[str, object], known: frozenset[str], place: str) -> None:
        _known(values, known, place)
        self._values = values
        self.place = place

    def get(self, name: str, kind: type[_T]) -> _T | None:
        value = self._values.get(name)
        if value is None:
            return None
        if type(value) is not kind:
            raise _bad(f"{name} in {self.place}", f"want {kind.__name__}")
        return value

    def need(self, name: str, kind: type[_T]) -> _T:
        value = self.get(name, kind)
        if value is None or value == "":
            raise _bad(f"{name} in {self.place}", "it is needed")
        return value

    def whole(self, name: str, default: int, most: int) -> int:
        value = self.get(name, int)
        if value is not None and not 1 <= value <= most:
            raise _bad(f"{name} in {self.place}", f"want 1 to {most}")
        return default if value is None else value


def _issuer(table: _Table) -> SigningRules:
    issuer, status_uri = table.need("issuer", str), table.need("status_uri", str)
    if not _URL.fullmatch(issuer) or not _URL.fullmatch(status_uri) or status_uri.count("{list}") != 1:
        raise _bad("[[issuer]]", "issuer and status_uri are http(s) URLs, status_uri with one {list}")
    regions = table.need("regions", list)
    if not all(type(region) is str and _REGION.fullmatch(region) for region in regions):
        raise _bad("regions in [[issuer]]", "a region is a text of six digits")
    return SigningRules(
        issuer,
        status_uri,
        tuple(regions),
        timedelta(days=table.whole("longest_validity_days", 3650, 3650)),
        timedelta(hours=table.whole("longest_list_hours", 168, 168)),
        test=bool(table.get("test", bool)),
    )


def _caller(table: _Table) -> Caller:
    name, user, uid = table.need("name", str), table.get("user", str), table.get("uid", int)
    if not _NAME.fullmatch(name):
        raise _bad("name in [[caller]]", "want lower-case letters, digits, dots and hyphens")
    if (user is None) == (uid is None):
        raise _bad("[[caller]]", "want either user or uid")
    try:
        profiles = frozenset(SigningProfile(item) for item in table.need("profiles", list))
    except ValueError:
        known = ", ".join(SigningProfile)
        raise _bad("profiles in [[caller]]", f"a profile is one of {known}") from None
    number = _system(pwd.getpwnam, user, "user").pw_uid if user is not None else uid or 0
    return Caller(name, number, profiles, create=table.get("create", bool) or False)


def _limits(name: str, table: _Table) -> Limits:
    given = table.get("per_hour", dict) or {}
    _known(given, _QUOTAS, "per_hour in [[caller]]")
    if not all(type(limit) is int and 0 <= limit <= MAX_LIMIT for limit in given.values()):
        raise _bad("per_hour in [[caller]]", "a quota is a whole number of documents per hour")
    return {(name, profile): limit for profile, limit in given.items()}


def _tables(content: Mapping[str, object], name: str) -> list[dict[str, object]]:
    listed = content.get(name)
    if not isinstance(listed, list) or not listed or not all(isinstance(item, dict) for item in listed):
        raise _bad(f"[[{name}]]", "at least one is needed")
    return listed


def _known(values: Mapping[str, object], known: frozenset[str], place: str) -> None:
    unknown = sorted(values.keys() - known)
    if unknown:
        raise InvalidInput("unknown_setting", f"key {unknown[0][:60]} in {place} is not a setting")


def _system(find: Callable[[str], _T], name: str, kind: str) -> _T:
    try:
        return find(name)
    except KeyError:
        raise _bad(kind, "this machine knows none of that name") from None


def _bad(place: str, why: str) -> InvalidInput:
    return InvalidInput("bad_setting", f"{place}: {why}")
