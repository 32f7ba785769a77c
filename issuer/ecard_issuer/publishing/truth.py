"""What an entry of a status list ought to be worth, from the register's truth alone: plan, credential, card, policy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ecard_card.status import EcardStatus
from ecard_issuer.card_effect import PolicyOf, card_effect
from ecard_issuer.rows import CardRow
from ecard_issuer.states import CredentialState, PlanState

#: What stands where an entry of a card names its card and plan.
DECOY = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A place that was given out, and the value that is stored for it; None where the row of the entry is lost."""

    list_id: int
    index: int
    card_ref: str
    plan_id: str
    value: EcardStatus | None

    @property
    def is_decoy(self) -> bool:
        return self.plan_id == DECOY


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose the place is: None where the register has no such plan, credential or card."""

    plan: PlanState | None = None
    credential: CredentialState | None = None
    card: CardRow | None = None


def worth(entry: Entry, owner: Owner, policy_of: PolicyOf, now: datetime) -> EcardStatus:
    """The value that the entry must have at `now` (aware UTC). A decoy is its own truth; what belongs to nobody, or
    to a credential that is lost, is invalid."""
    if entry.is_decoy:
        return entry.value or EcardStatus.VALID
    if owner.plan is PlanState.PLANNED:
        return EcardStatus.VALID
    if owner.plan is not PlanState.COMMITTED or owner.credential is not CredentialState.LIVE or owner.card is None:
        return EcardStatus.INVALID
    return card_effect(owner.card, policy_of(owner.card.region, now), now)
