"""Relatives and guardians (亲情服务, 监护人): a link's holder shows the e-cards that they may show, and both have the
record of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ecard_card.errors import NotAllowed, NotFound, RuleViolation
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.ecards import Ecards
from ecard_issuer.family.family import Family
from ecard_issuer.family.link import LinkRow, Relation
from ecard_issuer.links.links import CODE_LIFE, Code, Links, caller_of
from ecard_issuer.links.values import Link
from ecard_issuer.relying.claims import mask_name


@dataclass(frozen=True, slots=True)
class Relative:
    """One whose e-card may be shown now. `relative_id` is this channel's own name of the family link: two channels
    cannot tell by it that theirs is the same."""

    relative_id: str
    relation: Relation
    name_masked: str = field(repr=False)
    region: str
    by_guardian: bool
    until: datetime | None


class Relatives:
    """Any verb raises what `Links.usable` raises for the holder's own e-card: who shows others' has one."""

    def __init__(
        self,
        links: Links,
        family: Family,
        ecards: Ecards,
        desk: CardDesk,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._links, self._family, self._ecards, self._desk = links, family, ecards, desk
        self._random = random

    def of(self, link: Link, now: datetime) -> Sequence[Relative]:
        """Those whose e-cards the link's holder may show now."""
        viewer_ref = self._links.usable(link, now).card.holder_ref
        shown = []
        for held in self._family.shown_by(viewer_ref):
            try:
                self._family.may_show(viewer_ref, held.relative_ref, now)
                card = self._ecards.usable(held.ecard_id, now).card
            except (NotAllowed, NotFound, RuleViolation):
                continue
            name = mask_name(self._desk.identity(card).holder.name)
            by_guardian = held.mandate_id is not None
            shown.append(Relative(self._id(link, held), held.relation, name, card.region, by_guardian, held.ends_at))
        return shown

    def code(self, link: Link, relative_id: str, now: datetime) -> Code:
        """One code of a relative's e-card, by a key that is kept for this link alone. That it was shown is recorded for
        both before the code leaves. Codes of others are never fetched ahead: whether they may be shown is asked anew.

        Raises `NotFound` `relative_unknown`; `NotAllowed` `family_not_permitted`; `RuleViolation` `ecard_not_usable`.
        """
        viewer_ref = self._links.usable(link, now).card.holder_ref
        held = self._find(link, viewer_ref, relative_id)
        self._family.may_show(viewer_ref, held.relative_ref, now)
        ecard = self._ecards.usable(held.ecard_id, now)
        kept = self._links.rights.kept(link, ecard, now + CODE_LIFE, now, family_link_id=held.link_id)
        self._family.record_shown(held, self._random(16).hex(), caller_of(link), now)
        (made,) = self._links.make(kept, 1, now)
        return made

    def _id(self, link: Link, held: LinkRow) -> str:
        return self._desk.references.pairwise(f"relative {link.app_id}", held.link_id)

    def _find(self, link: Link, viewer_ref: str, relative_id: str) -> LinkRow:
        for held in self._family.shown_by(viewer_ref):
            if self._id(link, held) == relative_id:
                return held
        raise NotFound("relative_unknown", "the holder of this link shows no such relative")
