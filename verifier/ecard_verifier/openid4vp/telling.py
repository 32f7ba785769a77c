"""What of a verdict is told to who asked: what was asked for, in the form that is theirs to see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ecard_verifier.counters.sight import CLAIMS, told
from ecard_verifier.purposes.masking import Mask
from ecard_verifier.purposes.purposes import Field
from ecard_verifier.verdict import Outcome, Verdict

_ACCEPTED: Final = (Outcome.VALID, Outcome.CHECK)


def with_claims(verdict: Verdict, claims: tuple[str, ...], *, keep: bool) -> Verdict:
    """The verdict with the claims that were asked for: without one of them it is refused, and no other is passed on.
    `keep` leaves that to whoever makes facts of them."""
    if verdict.outcome not in _ACCEPTED:
        return verdict
    if not verdict.claims.keys() >= set(claims):
        return replace(verdict, outcome=Outcome.INVALID, reason="claims_missing", claims={})
    return verdict if keep else replace(verdict, claims={name: verdict.claims[name] for name in claims})


def facts_of(verdict: Verdict, masks: Mapping[str, str]) -> dict[str, str]:
    """What a group is told, by field."""
    found: dict[str, str] = {}
    for name, mask in masks.items():
        value = verdict.claims.get(CLAIMS[Field(name)])
        shown = told(Field(name), value, Mask(mask)) if isinstance(value, str) else None
        if shown is not None:
            found[name] = shown
    return found
