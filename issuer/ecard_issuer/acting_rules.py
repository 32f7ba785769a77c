"""Port `ActingRules`: whether somebody may act for a holder. Every service asks before it does anything for one."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from ecard_card.acting import Act, Acting, Ground
from ecard_card.errors import RuleViolation


class ActingRules(Protocol):
    """Who may do what for whom."""

    def require(self, acting: Acting, holder_ref: str, act: Act, now: datetime) -> None:
        """Return if `acting` may do `act` for the holder at `now` (aware UTC).

        Raises `RuleViolation`: `mandate_unknown` (no such mandate of this holder), `mandate_not_yet`, `mandate_ended`,
        `mandate_out_of_scope` (also an agent who would activate a bank account), `guardian_needed` (the holder may not
        act alone)."""
        ...


class OnlyInPerson:
    """`ActingRules` of a register that knows of no mandates."""

    def require(self, acting: Acting, holder_ref: str, act: Act, now: datetime) -> None:
        """See `ActingRules.require`."""
        if acting.ground is not Ground.OWN:
            raise RuleViolation("mandate_unknown", "no mandate of this holder has this id")
