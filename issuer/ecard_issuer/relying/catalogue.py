"""The programme's catalogue of services, as data: what people do on the strength of their card.

It suggests what a service of a line should ask for. What a service may ask for is what it was registered with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from ecard_card import jose
from ecard_card.card import ChipAssurance
from ecard_card.errors import InvalidInput
from ecard_issuer.relying.claims import Claim

#: 业务类型 of the verifier's terminal library.
BUSINESS_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "01": ("query", "业务查询"),
    "02": ("payment", "缴费支付"),
    "03": ("other", "其他"),
    "04": ("medical care elsewhere", "异地就医"),
}
#: The line of 待遇资格认证.
QUALIFICATION: Final = 65
_FORMAT: Final = "ecard-catalogue/1"


@dataclass(frozen=True, slots=True)
class Category:
    """A group of lines; `line` is the brochure's line that names the group, if one does."""

    category: str
    line: int | None
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the brochure, with what a service of it should ask for."""

    line: int
    business: str
    category: str
    zh: str
    en: str
    claims: tuple[Claim, ...]
    proof: ChipAssurance
    level: int
    business_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Valid once it exists. `lines` in order of their numbers."""

    categories: tuple[Category, ...]
    lines: tuple[Entry, ...]

    def of_line(self, line: int) -> Entry:
        """Raises `InvalidInput` `catalogue_line_unknown`."""
        for entry in self.lines:
            if entry.line == line:
                return entry
        raise InvalidInput("catalogue_line_unknown", "the catalogue has no such line")

    def names_of(self, line: int) -> dict[str, str] | None:
        """What a line is called in both languages; None for a line that is not here."""
        return next(({"zh": entry.zh, "en": entry.en} for entry in self.lines if entry.line == line), None)

    def to_json(self) -> dict[str, object]:
        """As `GET /v1/catalogue` answers it."""
        return {
            "categories": [
                {"category": item.category, "line": item.line, "names": {"zh": item.zh, "en": item.en}}
                for item in self.categories
            ],
            "lines": [
                {
                    "line": entry.line,
                    "business": entry.business,
                    "category": entry.category,
                    "names": {"zh": entry.zh, "en": entry.en},
                    "claims": [claim.value for claim in entry.claims],
                    "proof": entry.proof.label,
                    "level": entry.level,
                    "business_types": list(entry.business_types),
                }
                for entry in self.lines
            ],
            "business_types": [
                {"code": code, "names": {"zh": zh, "en": en}} for code, (en, zh) in BUSINESS_TYPES.items()
            ],
        }


@cache
def catalogue() -> Catalogue:
    """The catalogue that is shipped."""
    return read_catalogue(files("ecard_issuer.relying").joinpath("catalogue.json").read_bytes())


def read_catalogue(document: bytes) -> Catalogue:
    """Raises `InvalidInput` `bad_catalogue`, naming the place."""
    content = jose.parse_json(document)
    match content:
        case {"format": "ecard-catalogue/1", "categories": list(groups), "lines": list(lines), **rest} if not rest:
            categories = tuple(_category(item) for item in groups)
            entries = tuple(_entry(item) for item in lines)
        case _:
            raise _bad("not a document of format " + _FORMAT)
    names = {item.category for item in categories}
    numbers = [entry.line for entry in entries]
    if len(names) != len(categories) or sorted(set(numbers)) != numbers:
        raise _bad("categories are unique, and lines in order of their numbers, each once")
    if len({entry.business for entry in entries}) != len(entries):
        raise _bad("a business has one line")
    if {entry.category for entry in entries} != names:
        raise _bad("every line has a category, and every category a line")
    return Catalogue(categories, entries)


def _category(item: Any) -> Category:
    match item:
        case {"category": str(category), "line": int() | None as line, "zh": str(zh), "en": str(en), **rest}:
            if not rest and zh and en:
                return Category(category, line, zh, en)
    raise _bad("a category of unknown shape")


def _entry(item: Any) -> Entry:
    match item:
        case {
            "line": int(line),
            "business": str(business),
            "category": str(category),
            "zh": str(zh),
            "en": str(en),
            "claims": list(claims),
            "proof": str(proof),
            "level": int(level),
            "business_types": list(types),
            **rest,
        } if not rest:
            try:
                entry = Entry(
                    line,
                    business,
                    category,
                    zh,
                    en,
                    tuple(Claim(claim) for claim in claims),
                    ChipAssurance.from_label(proof),
                    level,
                    tuple(types),
                )
            except (ValueError, InvalidInput):
                raise _bad(f"line {line}: an unknown claim or proof") from None
            if 1 <= line <= 104 and level in (1, 2) and zh and en and types and set(types) <= BUSINESS_TYPES.keys():
                return entry
            raise _bad(f"line {line}: a value out of its bounds")
    raise _bad("a line of unknown shape")


def _bad(why: str) -> InvalidInput:
    return InvalidInput("bad_catalogue", why)
