"""Purposes as data: for each what is demanded of a card, and what a merchant of each level may see of its holder."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ecard_card.card import ChipAssurance
from ecard_card.errors import InvalidInput, NotFound
from ecard_verifier.purposes.masking import Mask

FORMAT: Final = "ecard-purposes/1"
_ID: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_MAX_FILE: Final = 64 << 10
_BUSINESS_TYPES: Final = frozenset({"01", "02", "03", "04"})
_MEMBERS: Final = frozenset(
    {"names", "business_type", "minimum_assurance", "live", "challenge", "compare_name", "levels"}
)


class Level(StrEnum):
    """What a merchant is, and so how much it may see."""

    BASIC = "basic"  # any merchant
    DESIGNATED = "designated"  # a designated hospital or pharmacy (两定机构)
    AUTHORITY = "authority"  # the authority's own outlets


class Field(StrEnum):
    """What can be said of a holder at a counter."""

    NAME = "name"
    ID_NUMBER = "id_number"
    CARD_NUMBER = "card_number"
    BIRTH_YEAR = "birth_year"
    REGION = "region"


#: What a field may be masked as; `full` besides, where a page may see no more than masks of the first three.
_MASKS: Final[Mapping[Field, frozenset[Mask]]] = MappingProxyType(
    {
        Field.NAME: frozenset({Mask.ONE_END}),
        Field.ID_NUMBER: frozenset({Mask.HEAD3_TAIL4, Mask.HEAD6_TAIL4}),
        Field.CARD_NUMBER: frozenset({Mask.HEAD3_TAIL4, Mask.HEAD6_TAIL4}),
        Field.BIRTH_YEAR: frozenset(),
        Field.REGION: frozenset(),
    }
)

#: Fields by which somebody can be looked up elsewhere: in full they are for few.
PERSONAL: Final = frozenset(field for field, masks in _MASKS.items() if masks)


@dataclass(frozen=True, slots=True)
class Sight:
    """What the counter's page and the merchant's own system may see, each field by its mask."""

    page: Mapping[Field, Mask]
    system: Mapping[Field, Mask]


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose. `levels` has the merchants that may use it."""

    purpose: str
    names: Mapping[str, str]
    business_type: str
    minimum_assurance: ChipAssurance
    live: bool
    challenge: bool
    compare_name: bool
    levels: Mapping[Level, Sight]


class Purposes:
    """All purposes of this verifier, in the order of their file."""

    def __init__(self, known: Mapping[str, Purpose]) -> None:
        self._known = dict(known)

    def __iter__(self) -> Iterator[Purpose]:
        return iter(self._known.values())

    def get(self, purpose: str, level: Level) -> Purpose:
        """Raises `NotFound` `purpose_unknown`, also for a purpose that is not for merchants of this level."""
        found = self._known.get(purpose)
        if found is None or level not in found.levels:
            raise NotFound("purpose_unknown", "no such purpose, or none for a merchant of this level")
        return found

    def named(self, purpose: str) -> bool:
        """Whether there is such a purpose, for whomever."""
        return purpose in self._known


def load_purposes(path: Path | None = None) -> Purposes:
    """The purposes in `path`, or ours. Raises `InvalidInput` `bad_purposes`, saying where."""
    try:
        raw = files(__package__).joinpath("defaults.toml").read_bytes() if path is None else _bounded(path)
        content = tomllib.loads(raw.decode("utf-8"))
    except (OSError, ValueError):
        raise InvalidInput("bad_purposes", "the file of purposes cannot be read as TOML") from None
    return read_purposes(content)


def read_purposes(content: Mapping[str, object]) -> Purposes:
    """Strictly: an unknown member, mask or level is `InvalidInput` `bad_purposes`."""
    if content.get("format") != FORMAT:
        raise _bad("format", f"want {FORMAT}")
    found: dict[str, Purpose] = {}
    for name, table in content.items():
        if name == "format":
            continue
        if not _ID.fullmatch(name):
            raise _bad("a purpose", "its name has lower-case letters, digits and hyphens")
        found[name] = _purpose(name, table)
    if not found:
        raise _bad("the file", "names no purpose")
    return Purposes(found)


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_FILE)


def _purpose(name: str, table: object) -> Purpose:
    members = _table(name, table, _MEMBERS)
    names = _table(f"{name}.names", members["names"], frozenset({"zh", "en"}))
    if not all(isinstance(text, str) and text.strip() and len(text) <= 60 for text in names.values()):
        raise _bad(f"{name}.names", "texts of at most 60 characters")
    if members["business_type"] not in _BUSINESS_TYPES:
        raise _bad(f"{name}.business_type", "want 01, 02, 03 or 04")
    for flag in ("live", "challenge", "compare_name"):
        if not isinstance(members[flag], bool):
            raise _bad(f"{name}.{flag}", "want true or false")
    try:
        assurance = ChipAssurance.from_label(str(members["minimum_assurance"]))
    except InvalidInput:
        raise _bad(f"{name}.minimum_assurance", "want declared, read, challenge or signature") from None
    levels = members["levels"]
    if not isinstance(levels, dict) or not levels or set(levels) - set(Level):
        raise _bad(f"{name}.levels", f"want some of {', '.join(Level)}")
    return Purpose(
        purpose=name,
        names=MappingProxyType({key: str(text) for key, text in names.items()}),
        business_type=str(members["business_type"]),
        minimum_assurance=assurance,
        live=members["live"] is True,
        challenge=members["challenge"] is True,
        compare_name=members["compare_name"] is True,
        levels=MappingProxyType({Level(level): _sight(f"{name}.{level}", sight) for level, sight in levels.items()}),
    )


def _sight(where: str, table: object) -> Sight:
    members = _table(where, table, frozenset({"page", "system"}))
    page = _masks(f"{where}.page", members["page"])
    if any(mask is Mask.FULL and _MASKS[field] for field, mask in page.items()):
        raise _bad(f"{where}.page", "a page sees masks only")
    if Field.BIRTH_YEAR in page and Field.ID_NUMBER in page:
        raise _bad(f"{where}.page", "the year of birth fills in what the mask of an ID number hides")
    return Sight(page, _masks(f"{where}.system", members["system"]))


def _masks(where: str, table: object) -> Mapping[Field, Mask]:
    if not isinstance(table, dict) or set(table) - set(Field):
        raise _bad(where, f"want some of {', '.join(Field)}")
    found: dict[Field, Mask] = {}
    for name, value in table.items():
        field = Field(name)
        if value not in {*_MASKS[field], Mask.FULL}:
            raise _bad(f"{where}.{name}", f"want {', '.join(sorted({*_MASKS[field], Mask.FULL}))}")
        found[field] = Mask(value)
    return MappingProxyType(found)


def _table(where: str, value: object, members: frozenset[str]) -> Mapping[str, object]:
    if not isinstance(value, dict) or set(value) != members:
        raise _bad(where, f"want exactly {', '.join(sorted(members))}")
    return value


def _bad(where: str, why: str) -> InvalidInput:
    return InvalidInput("bad_purposes", f"{where}: {why}")
