"""What a group of merchants may ask of a wallet: what its purpose permits it to see, and no more."""

from __future__ import annotations

from dataclasses import replace

from ecard_card.credential import DISCLOSABLE
from ecard_card.errors import InvalidInput, NotAllowed
from ecard_verifier.counters.assembly import Counters
from ecard_verifier.counters.sight import CLAIMS
from ecard_verifier.openid4vp.wish import Wish


def wish_of_group(counters: Counters, group_id: str, wish: Wish) -> Wish:
    """`wish` with the claims, masks and proof of the chip that its purpose has for this group; one of its day's
    verifications is spent.

    Raises `InvalidInput` `purpose_needed`, `NotFound` `purpose_unknown`, `NotAllowed` `claim_not_permitted`,
    `RateLimited` `counter_quota_used_up`.
    """
    if wish.purpose is None:
        raise InvalidInput("purpose_needed", "a group of merchants says what a card is asked for")
    if wish.others:  # no purpose says what of theirs may be seen, or how well they are proven
        raise NotAllowed("claim_not_permitted", "purposes are of e-cards, not of other issuers' credentials")
    desk = counters.desk
    group = counters.administration.organisation.group(group_id, group_id)
    purpose = desk.purpose_of(group, wish.purpose)
    sight = purpose.levels[group.level].system
    permitted = {CLAIMS[field]: field for field in sight if CLAIMS[field] in DISCLOSABLE}
    if not permitted.keys() >= set(wish.claims):
        raise NotAllowed("claim_not_permitted", "more than this purpose permits the group to see")
    asked = wish.claims or tuple(permitted)
    facts = {field: mask for field, mask in sight.items() if CLAIMS[field] in asked or CLAIMS[field] not in DISCLOSABLE}
    least = purpose.minimum_assurance
    demanded = least if wish.minimum_assurance is None else max(wish.minimum_assurance, least)
    desk.spend(group, None, counters.service.now())
    return replace(wish, claims=asked, facts=facts, minimum_assurance=demanded)
