"""What differs by region, as data: one validated TOML document per region, the strict reading where it is silent.

The status table (`ecard_card.status`) says what can be true of a card; a policy says what a status permits the e-card
to do, and what the authority's own desks and channels may do for a holder. Events of the physical card system are
facts and no policy refuses them. Numbers seen in service: the regional rules named in each field's comment.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from ecard_card.acting import Channel
from ecard_card.card import HolderProof
from ecard_card.errors import InvalidInput
from ecard_card.status import CardStatus, Effect

_REGION: Final = re.compile(r"[0-9]{6}")
MAX_DOCUMENT: Final = 32 << 10
#: The region of the policy that holds where no other does.
ANY_REGION: Final = "000000"


def _within(where: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise _bad(where, f"want a whole number from {least} to {most}")


def _bad(where: str, why: str) -> InvalidInput:
    return InvalidInput("bad_region_policy", f"{where}: {why}")


class LossEnd(StrEnum):
    """What becomes of a temporary loss that nobody released or confirmed in time."""

    RELEASE = "release"
    ESCALATE = "escalate"  # to a formal loss
    CANCEL = "cancel"


#: What each card status permits the e-card to do: the strict reading, in which only status 1 is usable.
STRICT_EFFECTS: Final[Mapping[CardStatus, Effect]] = MappingProxyType(
    {
        CardStatus.SEALED: Effect.DENY,
        CardStatus.NORMAL: Effect.ALLOW,
        CardStatus.LOST: Effect.DENY,
        CardStatus.LOCKED: Effect.DENY,
        CardStatus.TEMPORARILY_LOST: Effect.DENY,
        CardStatus.CANCELLED: Effect.END,
    }
)


@dataclass(frozen=True, slots=True)
class LossRules:
    """挂失. Terms in days."""

    temporary_days: int | None = None  # seen: none, 10, 15, 20
    temporary_end: LossEnd = LossEnd.ESCALATE  # seen: release, cancel; escalating is the strict reading
    holder_may_release: bool = True  # a temporary loss, when the card is found
    formal_may_release: bool = False  # seen: replacement only
    channels: frozenset[Channel] = frozenset(Channel)

    def __post_init__(self) -> None:
        _within("loss.temporary_days", self.temporary_days, 1, 3650)


@dataclass(frozen=True, slots=True)
class ReplacementRules:
    """补换卡, expiry and renewal."""

    requires_formal_loss: bool = True  # seen: 如需补卡请先正式挂失
    validity_years: int = 10
    renewal_window_days: int = 60

    def __post_init__(self) -> None:
        _within("replacement.validity_years", self.validity_years, 1, 100)
        _within("replacement.renewal_window_days", self.renewal_window_days, 0, 3650)

    def renewable_from(self, expires_on: date) -> date:
        """The first day on which a card that expires then may be renewed."""
        return expires_on - timedelta(days=self.renewal_window_days)


@dataclass(frozen=True, slots=True)
class PinRules:
    """The social-security PIN and the e-card password: how often a wrong one may be given."""

    tries: int = 3  # seen: 3, 6, 8, 10
    unlocks: int = 10  # unlockings in a card's whole life; then it must be replaced

    def __post_init__(self) -> None:
        _within("pin.tries", self.tries, 1, 20)
        _within("pin.unlocks", self.unlocks, 0, 1000)


@dataclass(frozen=True, slots=True)
class FamilyRules:
    """亲情服务, guardians and minors."""

    relatives: int = 8  # seen: 8 now, 10 before
    of_age: int = 16  # guardians act below it, and their mandate ends with it

    def __post_init__(self) -> None:
        _within("family.relatives", self.relatives, 0, 100)
        _within("family.of_age", self.of_age, 1, 21)


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """领取 through apps: what proves a holder, and how many codes an app may have ahead of time."""

    proofs: frozenset[HolderProof] = frozenset(HolderProof)
    #: For a card that has no e-card yet: without its chip the binding says `declared`, and nothing was bound to a chip.
    first_proofs: frozenset[HolderProof] = frozenset({HolderProof.CHIP})
    codes_ahead: int = 1  # codes of one minute each; more than one may be shown while the phone has no network

    def __post_init__(self) -> None:
        if not self.first_proofs <= self.proofs:
            raise _bad("claims.first_proofs", "permits a proof that claims.proofs does not")
        _within("claims.codes_ahead", self.codes_ahead, 1, 60)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a record is kept after it was closed, in days; None: for ever."""

    applications: int | None = 1825
    mandates: int | None = 1825
    accesses: int | None = 1095  # who asked for what on the strength of a card
    chip_evidence: int | None = None
    deliveries: int | None = 90  # what was told to partners
    erasures: int | None = 1825  # who is to be erased again after an old backup; longer than any backup is kept

    def __post_init__(self) -> None:
        for item in fields(self):
            _within(f"retention.{item.name}", getattr(self, item.name), 1, 36500)


@dataclass(frozen=True, slots=True)
class RegionPolicy:
    """One region's rules. Raises `InvalidInput` `bad_region_policy`, naming the setting."""

    region: str = ANY_REGION  # six digits of GB/T 2260; rules a province, city or county by its trailing zeros
    source: str = ""  # the decree that it follows, for the record
    effects: Mapping[CardStatus, Effect] = field(default_factory=lambda: STRICT_EFFECTS)
    expired: Effect = Effect.DENY  # what a card past its last day permits, whatever its status
    cards_elsewhere: int = 1  # live cards of other regions that a holder may keep beside this one
    loss: LossRules = field(default_factory=LossRules)
    replacement: ReplacementRules = field(default_factory=ReplacementRules)
    pin: PinRules = field(default_factory=PinRules)
    family: FamilyRules = field(default_factory=FamilyRules)
    claims: ClaimRules = field(default_factory=ClaimRules)
    retention: Retention = field(default_factory=Retention)

    def __post_init__(self) -> None:
        if not _REGION.fullmatch(self.region):
            raise _bad("region", "want six digits")
        if len(self.source) > 500 or not self.source.isprintable():
            raise _bad("source", "want at most 500 printable characters")
        if set(self.effects) != set(CardStatus):
            raise _bad("effects", "want an effect for every card status")
        if self.effects[CardStatus.CANCELLED] is not Effect.END:
            raise _bad("effects", "a cancelled card ends its e-card in every region")
        if any(effect is Effect.END for status, effect in self.effects.items() if status is not CardStatus.CANCELLED):
            raise _bad("effects", "only a cancelled card ends its e-card: an end cannot be undone")
        if self.expired is Effect.END:
            raise _bad("expired", "an expired card may be renewed: an end could not be undone")
        _within("cards_elsewhere", self.cards_elsewhere, 0, 100)


STRICT: Final = RegionPolicy()


def regions_above(region: str) -> tuple[str, ...]:
    """The codes whose policies hold for `region`, nearest first: county, city, province, `ANY_REGION`."""
    codes = (region, region[:4] + "00", region[:2] + "0000", ANY_REGION)
    return tuple(dict.fromkeys(codes))


def read_policy(text: str) -> RegionPolicy:
    """A policy from its TOML document. What it does not say is as in `STRICT`; what is not known is refused.

    Raises `InvalidInput` `bad_region_policy`.
    """
    if len(text) > MAX_DOCUMENT:
        raise _bad("document", "longer than 32 KiB")
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        raise _bad("document", "not TOML") from None
    if "region" not in content:
        raise _bad("region", "missing")
    return RegionPolicy(**{name: _value(RegionPolicy, name, value) for name, value in content.items()})


_TABLES: Final = {
    "loss": LossRules,
    "replacement": ReplacementRules,
    "pin": PinRules,
    "family": FamilyRules,
    "claims": ClaimRules,
    "retention": Retention,
}


def _value(kind: type, name: str, value: object, place: str = "") -> Any:
    """One setting as the field of `kind` wants it."""
    annotations: Mapping[str, str] = kind.__annotations__
    where = place + name
    match annotations.get(name), value:
        case None, _:
            raise _bad(where[:60], "not a setting")
        case "str", str():
            return value
        case "bool", bool():
            return value
        case (("int" | "int | None"), int()) if type(value) is int:
            return value
        case "int | None", "never":
            return None
        case "Effect", str():
            return _member(Effect, value, where)
        case "LossEnd", str():
            return _member(LossEnd, value, where)
        case "frozenset[Channel]", list():
            return frozenset(_member(Channel, item, where) for item in value)
        case "frozenset[HolderProof]", list():
            return frozenset(_holder_proof(item, where) for item in value)
        case "Mapping[CardStatus, Effect]", dict():
            return MappingProxyType({**STRICT_EFFECTS, **_effects(value)})
        case _, dict() if name in _TABLES:
            table = _TABLES[name]
            return table(**{key: _value(table, key, item, f"{name}.") for key, item in value.items()})
    raise _bad(where[:60], f"want {annotations[name]}")


def _effects(value: Mapping[str, object]) -> dict[CardStatus, Effect]:
    names = {status.name.lower(): status for status in CardStatus}
    for name in value:
        if name not in names:
            raise _bad("effects", "a status that does not exist")
    return {names[name]: _member(Effect, effect, f"effects.{name}") for name, effect in value.items()}


def _holder_proof(value: object, where: str) -> HolderProof:
    try:
        return HolderProof.from_label(str(value))
    except InvalidInput as error:
        raise _bad(where, f"want {error.detail.removeprefix('not ')}") from None


def _member(kind: type[StrEnum], value: object, where: str) -> Any:
    try:
        return kind(str(value))
    except ValueError:
        raise _bad(where, f"want one of {', '.join(member.value for member in kind)}") from None
