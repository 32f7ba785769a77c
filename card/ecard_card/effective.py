"""What the e-card may do now: a pure function of the card's status, the holder's own word and the region's policy."""

from __future__ import annotations

from ecard_card.region_policy import STRICT, RegionPolicy
from ecard_card.status import CardStatus, EcardStatus, Effect

_STRICTNESS = (Effect.ALLOW, Effect.CONSENT, Effect.DENY, Effect.END)


def effective_status(
    card: CardStatus,
    *,
    policy: RegionPolicy = STRICT,
    holder_locked: bool = False,
    consented: bool = False,
    expired: bool = False,
) -> EcardStatus:
    """The e-card's status.

    `holder_locked`: the holder shut the e-card themselves, which can suspend one that is valid and never revives one.
    `consented`: the holder permitted its use where the policy leaves that to them. `expired`: the card's last day is
    over.
    """
    effect = policy.effects[card]
    if expired:
        effect = max(effect, policy.expired, key=_STRICTNESS.index)
    if effect is Effect.END:
        return EcardStatus.INVALID
    usable = effect is Effect.ALLOW or (effect is Effect.CONSENT and consented)
    return EcardStatus.VALID if usable and not holder_locked else EcardStatus.SUSPENDED
