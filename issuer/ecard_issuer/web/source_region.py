"""A card system that is registered for some regions speaks for these, by whichever route."""

from __future__ import annotations

from ecard_card.errors import NotAllowed, NotFound
from ecard_issuer.assembly import Issuer
from ecard_verifier.callers import Caller, Role


def require_region(issuer: Issuer, caller: Caller, *regions: str) -> None:
    """Return unless the caller is a source that may not speak for one of `regions` (six digits each).

    Raises `NotAllowed` `region_not_of_source`.
    """
    if caller.role is not Role.SOURCE:
        return
    try:
        source = issuer.intake.sources.get(caller.name)
    except NotFound:
        return  # a desk system, registered as a caller only
    if not all(map(source.speaks_for, regions)):
        raise NotAllowed("region_not_of_source", "a card of a region that this source may not speak for")
