"""How a holder was proven at a login: `acr` and `amr` (OpenID Connect Core 1.0 §2, RFC 8176). The table for sites is in
`docs/login.md`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ecard_card.card import ChipAssurance, HolderProof


class Acr(StrEnum):
    """Authentication context classes, weakest first: each says all that those before it say."""

    PASSWORD = "urn:ecard:acr:password"  # noqa: S105 - an admitted channel's link, and the e-card password
    DEVICE = "urn:ecard:acr:device"  # the phone signed with the key that the authority bound to this e-card
    CHIP = "urn:ecard:acr:chip"  # and the holder's chip was there, and answered a challenge, when that key was bound
    CHIP_PASSWORD = "urn:ecard:acr:chip-password"  # noqa: S105 - and the e-card password was given now

    @property
    def rank(self) -> int:
        """0 for the weakest."""
        return _RANKS[self]


_RANKS: Final = {acr: rank for rank, acr in enumerate(Acr)}


@dataclass(frozen=True, slots=True)
class DeviceProof:
    """What the credential says whose device key signed: how well the chip was proven, and how the holder."""

    assurance: ChipAssurance
    holder: HolderProof | None  # None: of a credential from before this was written down, made by its chip
    holder_there: bool = True  # False: the key was bound by an app's link alone, however that was claimed once

    @property
    def by_chip(self) -> bool:
        """Whether the holder had the card there, and no copy of its data would have done."""
        by_chip = self.assurance >= ChipAssurance.CHALLENGE and self.holder in (None, HolderProof.CHIP)
        return by_chip and self.holder_there


@dataclass(frozen=True, slots=True)
class Proven:
    """What a holder showed: a device key's signature, the password, or both."""

    device: DeviceProof | None
    password: bool

    @property
    def acr(self) -> Acr | None:
        """The class that was reached; None where nothing was shown."""
        if self.device is None:
            return Acr.PASSWORD if self.password else None
        if not self.device.by_chip:
            return Acr.DEVICE
        return Acr.CHIP_PASSWORD if self.password else Acr.CHIP

    @property
    def amr(self) -> tuple[str, ...]:
        """RFC 8176 §2; number matching has no registered value, so its name is ours."""
        methods = [*(["pop"] if self.device is not None else []), *(["pwd"] if self.password else [])]
        return (*methods, *(["mfa"] if len(methods) == 2 else []), "urn:ecard:amr:number")


def demanded(asked: Sequence[str], least: Acr) -> Acr | None:
    """What a login must reach: the weakest class that the site named and its registration permits; without any named,
    the registration's. None where no class named is known here."""
    if not asked:
        return least
    known = [Acr(name) for name in asked if name in set(Acr)]
    return max(min(known, key=lambda acr: acr.rank), least, key=lambda acr: acr.rank) if known else None


def told(reached: Acr, asked: Sequence[str]) -> Acr:
    """What the ID token says: the strongest class that was asked for and reached, else what was reached."""
    fitting = [acr for acr in Acr if acr in asked and acr.rank <= reached.rank]
    return fitting[-1] if fitting else reached
