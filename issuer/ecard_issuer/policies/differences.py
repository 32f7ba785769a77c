"""What one policy says otherwise than another: setting by setting, as data and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum

from ecard_card import messages
from ecard_card.card import HolderProof
from ecard_card.region_policy import RegionPolicy


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting by its name in the document ("loss.temporary_days"), and its two values as a document writes them."""

    setting: str
    before: str
    after: str

    def words(self, language: messages.Language) -> str:
        """The same for a person."""
        what = messages.text(text_code(self.setting), language)
        return messages.text("policy_difference", language).format(
            what=what, setting=self.setting, before=self.before, after=self.after
        )


def text_code(setting: str) -> str:
    """The code under which the catalogue says what a setting is."""
    return "policy_" + setting.replace(".", "_")


def settings_of(policy: RegionPolicy) -> dict[str, str]:
    """Every setting but the region, by its name in the document, with its value as a document writes it."""
    found: dict[str, str] = {}
    for item in fields(policy):
        value = getattr(policy, item.name)
        if is_dataclass(value):
            found |= {f"{item.name}.{inner.name}": _written(getattr(value, inner.name)) for inner in fields(value)}
        elif isinstance(value, Mapping):
            found |= {f"{item.name}.{status.name.lower()}": _written(effect) for status, effect in value.items()}
        elif item.name != "region":
            found[item.name] = _written(value)
    return found


def differences(before: RegionPolicy, after: RegionPolicy) -> tuple[Difference, ...]:
    """The settings that differ, in the order of the document."""
    old, new = settings_of(before), settings_of(after)
    return tuple(Difference(name, old[name], new[name]) for name in new if old[name] != new[name])


def _written(value: object) -> str:
    match value:
        case None:
            return '"never"'
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case frozenset():
            return "[" + ", ".join(_written(item) for item in sorted(map(_name, value))) + "]"
        case StrEnum() | str():
            return f'"{value}"'
    raise TypeError(f"a setting of type {type(value).__name__}")


def _name(item: object) -> str:
    """Of a member: a proof of a holder is a number by itself, and stands in a document by its label."""
    return item.label if isinstance(item, HolderProof) else str(item)
