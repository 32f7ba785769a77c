"""Chip profiles as data: what to select and read, which recipe a card generation follows, what it can prove at best.

Whatever is not in a public standard stands in `profiles/*.json` and never in a code path. A profile whose id begins
with `test:` is for simulated chips; a production service refuses it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

from ecard_card.card import ChipAssurance
from ecard_card.errors import ChipFault

TEST_PREFIX: Final = "test:"


@dataclass(frozen=True, slots=True)
class RecordSpec:
    """One record: its tag, the field it holds and the value length in bytes.

    `ignore_refusal`: older cards lack it and refuse in different ways; `may_be_longer`: ask for all there is.
    """

    tag: int
    name: str
    length: int
    required: bool = False
    may_be_longer: bool = False
    ignore_refusal: bool = False


@dataclass(frozen=True, slots=True)
class FileSpec:
    file_id: int
    may_be_closed: bool
    records: tuple[RecordSpec, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """One card generation. `recipes` maps the algorithm id of the FCI to a recipe of `ecard_keys.chip_recipe`."""

    id: str
    regions: frozenset[str]  # empty: every region
    versions: tuple[str, ...]  # prefixes of EF05 tag 03; empty: every version
    recipes: Mapping[int, str]
    assurance: ChipAssurance  # the best that evidence of such a chip can reach

    @property
    def is_test(self) -> bool:
        return self.id.startswith(TEST_PREFIX)


@dataclass(frozen=True, slots=True)
class Environment:
    """An application that the reader looks for: its names in the order to try, its files, and who may be behind it."""

    id: str
    names: tuple[bytes, ...]
    files: tuple[FileSpec, ...]
    profiles: tuple[Profile, ...]
    certificate_object: bytes = b""
    key_reference: int = 0
    key_algorithm: int = 0

    def match(self, region: str, version: str) -> Profile:
        """The first profile for this region and version; raises `ChipFault` `chip_unknown`."""
        for profile in self.profiles:
            in_region = not profile.regions or region in profile.regions
            if in_region and (not profile.versions or version.startswith(profile.versions)):
                return profile
        raise ChipFault("chip_unknown", "no profile knows a chip of this version")

    def tag_of(self, name: str) -> int:
        """The tag of the record that holds the field `name` (a name of the profile data)."""
        return next(record.tag for file in self.files for record in file.records if record.name == name)


@cache
def environment(environment_id: str) -> Environment:
    """The environment `ssse` or `piv`, from the package's data."""
    text = resources.files(__package__).joinpath("profiles", f"{environment_id}.json").read_text("utf-8")
    return _environment(json.loads(text))


def _environment(data: Mapping[str, Any]) -> Environment:
    return Environment(
        id=data["environment"],
        names=tuple(bytes.fromhex(name) for name in data["names"]),
        files=tuple(_file(file) for file in data["files"]),
        profiles=tuple(_profile(profile) for profile in data["profiles"]),
        certificate_object=bytes.fromhex(data.get("certificate_object", "")),
        key_reference=int(data.get("key_reference", "0"), 16),
        key_algorithm=int(data.get("key_algorithm", "0"), 16),
    )


def _file(data: Mapping[str, Any]) -> FileSpec:
    records = tuple(RecordSpec(**{**record, "tag": int(record["tag"], 16)}) for record in data["records"])
    return FileSpec(int(data["id"], 16), data["may_be_closed"], records)


def _profile(data: Mapping[str, Any]) -> Profile:
    return Profile(
        id=data["id"],
        regions=frozenset(data["regions"]),
        versions=tuple(data["versions"]),
        recipes=MappingProxyType({int(key): recipe for key, recipe in data["recipes"].items()}),
        assurance=ChipAssurance.from_label(data["assurance"]),
    )
