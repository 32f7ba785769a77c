"""Port `LinkStore`: links, the rights under them, and what channels are to be told of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from ecard_issuer.links.values import Link, LinkEnd, LinkNews, LinkNewsRow, LinkRight


class LinkStore(Protocol):
    """Any verb raises `Unavailable`. Each is one transaction."""

    def add_link(self, link: Link) -> Link:
        """Store a link, with its news; where the channel has a live one with this e-card, that one comes back, to
        however many at once. `RuleViolation` `link_released`: this very one was made before, and released."""
        ...

    def find_link(self, app_id: str, link_id: str) -> Link | None:
        """A link of this channel, ended or not."""
        ...

    def links_of_channel(self, app_id: str, *, after: str = "", limit: int = 50) -> tuple[Link, ...]:
        """In order of their ids, those beyond `after`."""
        ...

    def links_of_ecard(self, ecard_id: str) -> tuple[Link, ...]:
        """The live ones, of every channel: one read of one index."""
        ...

    def links_of_holder(self, holder_ref: str) -> tuple[Link, ...]:
        """All of them, oldest first."""
        ...

    def end_link(self, link: Link, end: LinkEnd, now: datetime) -> Link:
        """End a link: its rights with it, whatever credentials came of them and of their successors, and the keys that
        were kept for it. One that has ended stays as it was.

        Issuing under one of its rights that is under way comes to nothing."""
        ...

    def end_remains(self, link: Link, now: datetime) -> None:
        """End what came of the rights of a link after it had ended, by a request that was under way. Of a live link
        nothing."""
        ...

    def follow_person(self, link: Link, holder_ref: str) -> Link:
        """The e-card has moved to the card of a person under another number: the link and its rights name them."""
        ...

    def prepare_right(self, right: LinkRight) -> LinkRight:
        """Remember a right of a link that is still to be made, before anything is issued under it; again, the first
        one comes back."""
        ...

    def add_right(self, right: LinkRight, link: Link, over: Collection[str] = ()) -> LinkRight:
        """Remember a right under a live link, before anything is issued under it. Of a device key that has one there
        already, but for those `over` (enrolment ids), that one comes back, to however many at once.

        `RuleViolation` `link_released`."""
        ...

    def adopt_right(self, right: LinkRight, link: Link) -> None:
        """Let a prepared right hang on this link and its e-card. `RuleViolation` `link_released`: then it has ended."""
        ...

    def rights_of(self, link_id: str) -> tuple[LinkRight, ...]:
        """Those that have not ended, oldest first."""
        ...

    def end_rights(self, link_id: str, enrolment_ids: Collection[str], now: datetime) -> None:
        """End some of a link's rights, with all that came of them."""
        ...

    def tell(
        self, links: Sequence[Link], kind: LinkNews, about: Mapping[str, object], mark: str, now: datetime
    ) -> None:
        """Write news for these links; under the same `mark` once only."""
        ...

    def waiting_news(self, limit: int = 100) -> tuple[LinkNewsRow, ...]:
        """What has not been taken up, oldest first."""
        ...

    def taken_up(self, rows: Sequence[LinkNewsRow]) -> None:
        """These were taken up, and wait no more."""
        ...

    def purge(self, before: datetime, limit: int) -> int:
        """Delete links that ended before, with what hangs on them; returns how many."""
        ...
