"""What a page needs of links, and no more: the port, and how a link stands in words that a page may hear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from ecard_card.errors import NotFound, RuleViolation
from ecard_issuer.ecards import Ecard
from ecard_issuer.issue import IssuedCredential
from ecard_issuer.links.links import Code
from ecard_issuer.links.values import Link

_CODE: Final = timedelta(minutes=1)
_OVER: Final = {"link_released": "released", "ecard_ended": "ended", "ecard_unknown": "ended"}


class ShownLinks(Protocol):
    """See `ecard_issuer.links.links.Links`. Every verb may raise `Unavailable`; those that make something,
    `RuleViolation` `link_released`, `ecard_ended`, `ecard_not_usable`."""

    def get(self, app_id: str, link_id: str) -> Link:
        """The link of this channel, ended or not. Raises `NotFound` `link_unknown`."""
        ...

    def ecard(self, link: Link, now: datetime) -> Ecard:
        """Its e-card, usable or not. Raises `RuleViolation` `link_released`, `ecard_ended`."""
        ...

    def issue_to(self, link: Link, device_point: bytes, now: datetime) -> IssuedCredential:
        """A credential for a key whose possession was shown; the same key again gets the same one."""
        ...

    def codes(self, link: Link, count: int, now: datetime) -> Sequence[Code]:
        """Codes that follow each other, by a key kept for this link."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """What a page is told. `reason` of an unusable card is `suspended`, `ended` or `released`; of a usable one empty.
    `ahead`: how many codes of a minute each the region lets a page hold; one is the present one."""

    reason: str
    ahead: int = 1

    @property
    def usable(self) -> bool:
        """Whether the e-card may be shown."""
        return not self.reason

    @property
    def version(self) -> str:
        """Differs where something differs that a page should know."""
        return self.reason or "usable"

    def offline_until(self, opened_at: datetime, expires_at: datetime) -> datetime:
        """Until when a page that lost its network may go on: to the session's end, or as long as the codes that it
        could hold would last."""
        return max(expires_at, opened_at + self.ahead * _CODE)


def standing_of(links: ShownLinks, link: Link, now: datetime) -> Standing:
    """How the link stands now. Raises `Unavailable`."""
    try:
        ecard = links.ecard(link, now)
    except (NotFound, RuleViolation) as refusal:
        if refusal.code not in _OVER:
            raise
        return Standing(_OVER[refusal.code])
    return Standing("" if ecard.usable else "suspended", ecard.policy.claims.codes_ahead)
