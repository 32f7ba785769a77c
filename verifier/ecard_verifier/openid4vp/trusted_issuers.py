"""Other issuers whose credentials this verifier was told to trust: the operator's file, read strictly at start.

TOML, `format = "ecard-trusted-issuers/1"` and one table `[[issuers]]` for each type of credential. None of them is an
issuer of e-cards: those are on the trust list, and on nothing else.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from cryptography import x509

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_keys.verify import load_public_key

FORMAT: Final = "ecard-trusted-issuers/1"
MAX_ISSUERS: Final = 32
_MAX_FILE: Final = 1 << 20
_MAX_CLAIMS: Final = 32
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_RESERVED: Final = "ecard"
_MEMBERS: Final = frozenset({"name", "issuer", "vct", "key", "keys", "anchors", "status", "status_hosts", "claims"})


class KeyWay(StrEnum):
    """How an issuer's key is found."""

    JWK = "jwk"  # in the file itself
    X5C = "x5c"  # in the credential's header, under an anchor that the file names
    METADATA = "metadata"  # at /.well-known/jwt-vc-issuer of the issuer


class StatusWay(StrEnum):
    """What is made of a credential without a status."""

    REQUIRED = "required"  # it is refused
    IF_PRESENT = "if_present"  # it is good until it expires


_Way = TypeVar("_Way", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One type of one issuer. `name` is ours, `keys` are P-256 points by key id, `status_hosts` are where its lists may
    be fetched from, `claims` all that is ever asked for or shown."""

    name: str
    issuer: str
    vct: str
    key: KeyWay
    status: StatusWay
    claims: tuple[str, ...]
    status_hosts: frozenset[str]
    keys: tuple[tuple[str | None, bytes], ...] = ()
    anchors: tuple[x509.Certificate, ...] = field(default=(), repr=False)
    authority_key_ids: tuple[str, ...] = ()  # of the anchors, base64url, for `trusted_authorities`


def read_trusted_issuers(path: Path) -> dict[str, TrustedIssuer]:
    """Those in the file, by name. Raises `InvalidInput` `bad_trusted_issuers`, which says where and what."""
    try:
        with path.open("rb") as file:
            content = tomllib.loads(file.read(_MAX_FILE).decode())
    except (OSError, ValueError):
        raise _bad("the file cannot be read, or is no TOML") from None
    tables = content.get("issuers")
    if content.get("format") != FORMAT or set(content) - {"format", "issuers"} or not isinstance(tables, list):
        raise _bad(f'want format = "{FORMAT}" and tables [[issuers]], and nothing else')
    if len(tables) > MAX_ISSUERS:
        raise _bad(f"at most {MAX_ISSUERS} issuers")
    found: dict[str, TrustedIssuer] = {}
    for number, table in enumerate(tables, 1):
        entry = _entry(table, f"issuer {number}", path.parent)
        if entry.name in found or any((entry.issuer, entry.vct) == (one.issuer, one.vct) for one in found.values()):
            raise _bad(f"issuer {number}: its name, or its issuer with its vct, is there twice")
        found[entry.name] = entry
    return found


def _entry(table: object, where: str, folder: Path) -> TrustedIssuer:
    if not isinstance(table, dict) or not _MEMBERS.issuperset(table):
        raise _bad(f"{where}: a member that is not known")
    name, issuer, vct = (_text(table, member, where) for member in ("name", "issuer", "vct"))
    if not _NAME.fullmatch(name) or name == _RESERVED:
        raise _bad(f"{where}: name is 1 to 32 of a-z, 0-9, - and _, begins with a letter, and is not `{_RESERVED}`")
    host = _host_of(issuer)
    if host is None:
        raise _bad(f"{where}: issuer is no https URL without query and fragment")
    way, status = _choice(KeyWay, table.get("key"), where), _choice(StatusWay, table.get("status"), where)
    needed = {KeyWay.JWK: {"keys"}, KeyWay.X5C: {"anchors"}, KeyWay.METADATA: set[str]()}[way]
    if {"keys", "anchors"} & set(table) != needed:
        raise _bad(f"{where}: keys go with key = jwk, anchors with key = x5c, and each needs them")
    claims = _texts(table.get("claims"), f"{where}: claims", most=_MAX_CLAIMS)
    hosts = _texts(table.get("status_hosts", [host]), f"{where}: status_hosts", most=8)
    anchors = _anchors(folder / _text(table, "anchors", where), where) if way is KeyWay.X5C else ()
    return TrustedIssuer(
        name=name,
        issuer=issuer,
        vct=vct,
        key=way,
        status=status,
        claims=claims,
        status_hosts=frozenset(hosts),
        keys=_keys(table["keys"], where) if way is KeyWay.JWK else (),
        anchors=anchors,
        authority_key_ids=tuple(jose.b64url_encode(_key_id(anchor)) for anchor in anchors),
    )


def _keys(value: object, where: str) -> tuple[tuple[str | None, bytes], ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= 8:
        raise _bad(f"{where}: keys are one to eight JWKs")
    found = []
    for jwk in value:
        kid = jwk.get("kid") if isinstance(jwk, dict) else None
        try:
            point = jose.parse_public_jwk(jwk)
            load_public_key(point)
        except InvalidInput:
            raise _bad(f"{where}: a key is no public JWK on P-256") from None
        if kid is not None and not isinstance(kid, str):
            raise _bad(f"{where}: a kid is a text")
        found.append((kid, point))
    return tuple(found)


def _anchors(path: Path, where: str) -> tuple[x509.Certificate, ...]:
    try:
        with path.open("rb") as file:
            anchors = tuple(x509.load_pem_x509_certificates(file.read(_MAX_FILE)))
        for anchor in anchors:
            if not anchor.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                raise ValueError
    except (OSError, ValueError, x509.ExtensionNotFound):
        raise _bad(f"{where}: anchors names no file of PEM certificates of authorities") from None
    return anchors


def _key_id(anchor: x509.Certificate) -> bytes:
    try:
        return anchor.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(anchor.public_key()).digest


def _host_of(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        fine = parts.scheme == "https" and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return None
    return parts.netloc.lower() if fine and not parts.query and not parts.fragment and url.isprintable() else None


def _text(table: Mapping[str, object], member: str, where: str) -> str:
    value = table.get(member)
    if not isinstance(value, str) or not 1 <= len(value) <= 512 or not value.isprintable():
        raise _bad(f"{where}: {member} is a text")
    return value


def _texts(value: object, where: str, *, most: int) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= most or len(set(map(str, value))) != len(value):
        raise _bad(f"{where} is a list of one to {most} different texts")
    if any(not isinstance(item, str) or not 1 <= len(item) <= 256 or not item.isprintable() for item in value):
        raise _bad(f"{where} is a list of texts")
    return tuple(value)


def _choice(kind: type[_Way], value: object, where: str) -> _Way:
    try:
        return kind(str(value))
    except ValueError:
        raise _bad(f"{where}: want {' or '.join(kind)}") from None


def _bad(detail: str) -> InvalidInput:
    return InvalidInput("bad_trusted_issuers", detail)
