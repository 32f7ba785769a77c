"""Links as channels use them: state, codes, more credentials, release. Where a link was claimed is `claiming.py`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from ecard_card.errors import InvalidInput, NotAllowed, NotFound, RuleViolation, Unavailable
from ecard_card.status import EcardStatus
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.ecards import Ecard, Ecards
from ecard_issuer.issue import IssuedCredential
from ecard_issuer.levels.business import LEVEL_NEEDED, BusinessType, Level
from ecard_issuer.levels.levels import Levels
from ecard_issuer.levels.opening import Closing, OpeningRow
from ecard_issuer.links.rights import KeptKey, Rights
from ecard_issuer.links.store import LinkStore
from ecard_issuer.links.values import Link, LinkEnd, LinkNews
from ecard_issuer.pins.passwords import Passwords
from ecard_issuer.pins.secret import Secret, SecretEvent
from ecard_issuer.ports import Cards
from ecard_issuer.relying.claims import mask_name, mask_tail
from ecard_issuer.rows import CardRow
from ecard_qr import frame, payload
from ecard_verifier.callers import Caller, Role

#: How long a code is good for; the next one begins where it ends.
CODE_LIFE: Final = timedelta(seconds=60)
#: The most that any region's policy permits at once.
MOST_CODES: Final = 60


@dataclass(frozen=True, slots=True)
class Code:
    """One code to be shown, and when."""

    text: str = field(repr=False)
    good_from: datetime
    good_until: datetime


@dataclass(frozen=True, slots=True)
class LinkState:
    """What a channel may know of a link now. `status` is the e-card's; `usable`: it may be shown."""

    link: Link
    status: EcardStatus
    usable: bool
    level: Level
    region: str
    name_masked: str = field(repr=False)
    card_masked: str = field(repr=False)
    codes_ahead: int
    password_set: bool


class Links:
    """Every verb may raise `Unavailable`; those that use a link, `RuleViolation` `link_released`, `ecard_ended` and,
    unless they say otherwise, `ecard_not_usable` (suspended, or a new chip that is not proven yet) and `NotAllowed`
    `app_suspended`. `suspended` says whether the authority has suspended a channel: pages, wallets and sites go on in
    its name without a call of its own."""

    def __init__(
        self,
        store: LinkStore,
        rights: Rights,
        register: Cards,
        ecards: Ecards,
        levels: Levels,
        passwords: Passwords,
        desk: CardDesk,
        random: Callable[[int], bytes] = secrets.token_bytes,
        suspended: Callable[[str], bool] = lambda app_id: False,
    ) -> None:
        self._suspended = suspended
        self.store = store
        self.rights = rights
        self._register = register
        self._ecards, self._levels, self._passwords = ecards, levels, passwords
        self._desk, self._random = desk, random

    def get(self, app_id: str, link_id: str) -> Link:
        """A link of this channel, also one that has ended. Raises `NotFound` `link_unknown`: of another channel's
        too."""
        link = self.store.find_link(app_id, link_id)
        if link is None:
            raise NotFound("link_unknown", "this channel has no such link")
        return link

    def of_channel(self, app_id: str, *, after: str = "", limit: int = 50) -> tuple[Link, ...]:
        """A page of a channel's links in order of their ids, ended ones too."""
        return self.store.links_of_channel(app_id, after=after, limit=limit)

    def links_of_ecard(self, ecard_id: str) -> tuple[Link, ...]:
        """The live links with an e-card, of every channel: who is to hear of what happens to it."""
        return self.store.links_of_ecard(ecard_id)

    def ecard(self, link: Link, now: datetime) -> Ecard:
        """The e-card of a live link, usable or not. One that has ended with its card ends its link here."""
        if link.ended_at is not None:
            raise _released()
        try:
            ecard = self._ecards.get(link.ecard_id, now)
        except RuleViolation as refusal:
            if refusal.code == "ecard_ended":
                self.store.end_link(link, LinkEnd.CARD_ENDED, now)
            raise
        if ecard.card.holder_ref != link.holder_ref:  # moved to a card under the holder's new number
            self.store.follow_person(link, ecard.card.holder_ref)
        return ecard

    def usable(self, link: Link, now: datetime) -> Ecard:
        """As `ecard`; besides `RuleViolation` `ecard_not_usable`, `NotAllowed` `app_suspended`."""
        if self._suspended(link.app_id):
            raise NotAllowed("app_suspended", "the authority has suspended this app")
        found = self.ecard(link, now)
        if not found.usable:
            raise RuleViolation("ecard_not_usable", "the card's status, or a chip not proven yet, forbids it now")
        return found

    def issue_to(self, link: Link, device_point: bytes, now: datetime) -> IssuedCredential:
        """One more credential of the link's e-card, for a device key (65 bytes) whose possession was shown to the
        caller of this method; the same key again gets the same credential. Of several devices the oldest gives way."""
        return self.rights.issue_to(link, self.usable(link, now), device_point, now)

    def bound_by_link_alone(self, ecard_id: str, device_thumbprint: bytes) -> bool:
        """See `Rights.bound_by_link_alone`."""
        return self.rights.bound_by_link_alone(ecard_id, device_thumbprint)

    def require_issued(self, link: Link, credential_id: bytes, now: datetime) -> None:
        """Return if a device of this live link was given this credential, or one that it follows; the card may be
        suspended. Raises `NotFound` `credential_unknown`, never `ecard_not_usable`."""
        self.ecard(link, now)
        self.rights.require_issued(link, credential_id)

    def require_live(self, link: Link, now: datetime) -> None:
        """Return if a link that something was just issued under is live still; else that ends with it. Raises
        `RuleViolation` `link_released`, `ecard_ended`."""
        try:
            self.ecard(self.get(link.app_id, link.link_id), now)
        except RuleViolation:
            self.store.end_remains(link, now)
            raise

    def codes(
        self,
        link: Link,
        count: int,
        now: datetime,
        *,
        business: BusinessType = BusinessType.OTHER,
        password: Secret | None = None,
    ) -> tuple[Code, ...]:
        """`count` codes that follow each other, the first good from now; each is 60 s, and once.

        A payment's code is one at a time and wants level 二级 and the e-card password. Raises `InvalidInput`
        `bad_code_count`; `RuleViolation` `codes_ahead_not_permitted`, `ecard_level_too_low`, `ecard_password_needed`;
        what `Passwords.verify` raises.
        """
        ecard = self.usable(link, now)
        _require_count(count, ecard)
        self._levels.require_for(link.ecard_id, business, now)
        if LEVEL_NEEDED[business] is Level.PAYMENT:
            if count != 1:
                raise RuleViolation("codes_ahead_not_permitted", "a payment's code is made when it is shown")
            if password is None:
                raise RuleViolation("ecard_password_needed", "the e-card password is asked for at each payment")
            self._passwords.verify(link.ecard_id, password, caller_of(link), now)
        kept = self.rights.kept(link, ecard, now + count * CODE_LIFE, now)
        return self.make(kept, count, now)

    def make(self, kept: KeptKey, count: int, now: datetime) -> tuple[Code, ...]:
        """Codes by a kept key."""
        first = now.astimezone(UTC).replace(microsecond=0)
        made = []
        for number in range(count):
            start = first + number * CODE_LIFE
            draft = frame.draft_online(kept.credential.credential_id, int(start.timestamp()), self._random(8))
            signed = draft.complete(kept.key.sign(draft.signing_input))
            made.append(Code(payload.to_text(signed, payload.Form.ONLINE), start, start + CODE_LIFE))
        return tuple(made)

    def state(self, link: Link, now: datetime) -> LinkState:
        """What may be told of a link. Of one that has ended, nothing that became of the e-card since: who released an
        app is not watched by it."""
        card = self._card(link)
        identity = self._desk.identity(card)
        status, usable, level, ahead, is_set = EcardStatus.INVALID, False, Level.IDENTITY, 1, False
        try:
            ecard = None if link.ended_at is not None else self._ecards.get(link.ecard_id, now)
        except (NotFound, RuleViolation):
            ecard, link = None, self.store.end_link(link, LinkEnd.CARD_ENDED, now)
        if ecard is not None:
            status = EcardStatus.VALID if ecard.usable else EcardStatus.SUSPENDED
            usable = ecard.usable
            level = self._levels.state(link.ecard_id, now).level
            ahead = ecard.policy.claims.codes_ahead
            is_set = self._passwords.state(link.ecard_id, now).is_set
        name, number = mask_name(identity.holder.name), mask_tail(identity.number.text)
        return LinkState(link, status, usable, level, card.region, name, number, ahead, is_set)

    def end_with_card(self, ecard_id: str, now: datetime) -> int:
        """End the links of an e-card that has ended with its card; how many. Nothing happens where it goes on: while a
        new card is being made, or suspended."""
        ended = 0
        for link in self.store.links_of_ecard(ecard_id):
            try:
                self.ecard(link, now)
            except RuleViolation as refusal:
                if refusal.code != "ecard_ended":
                    raise
                ended += 1
        return ended

    def release(self, link: Link, now: datetime, *, end: LinkEnd = LinkEnd.RELEASED) -> Link:
        """解除关联. This channel's credentials of the link end, and the key kept for it is destroyed; other channels'
        links stay. With the last link payment is closed too. Released before, it stays so."""
        ended = self.store.end_link(link, end, now)
        if not self.store.links_of_ecard(link.ecard_id):
            try:
                self._levels.close(link.ecard_id, caller_of(link), now, closing=Closing.RELEASE)
            except (NotFound, RuleViolation):
                return ended  # the e-card has ended, and payment with it; or its holder is dead
        return ended

    def release_everywhere(self, ecard_id: str, now: datetime, *, by: Link | None = None) -> tuple[Link, ...]:
        """End every channel's links with an e-card, by the wish of its holder; `by` is the one it was said in."""
        ends = LinkEnd.RELEASED, LinkEnd.HOLDER
        live = self.store.links_of_ecard(ecard_id)
        return tuple(self.release(link, now, end=ends[by is None or link.link_id != by.link_id]) for link in live)

    def level_changed(self, opening: OpeningRow, now: datetime) -> None:
        """Tell every channel of the e-card that payment was opened, or closed where `opening` says so; each once,
        whoever did it and however often it is asked for."""
        level = Level.PAYMENT if opening.closed_at is None else Level.IDENTITY
        about, mark = {"level": int(level)}, f"{opening.opening}/{int(level)}"
        self.store.tell(self.store.links_of_ecard(opening.ecard_id), LinkNews.LEVEL, about, mark, now)

    def password_changed(self, done: SecretEvent, now: datetime) -> None:
        """Tell every channel of the e-card that its password is another one; once for each act, nothing of it."""
        self.store.tell(self.store.links_of_ecard(done.subject), LinkNews.PASSWORD, {}, str(done.version), now)

    def _card(self, link: Link) -> CardRow:
        """The card that carries the e-card, or did last."""
        card_ref = self._register.card_of_ecard(link.ecard_id)
        if card_ref is None:
            raise Unavailable("register_damaged", "a link stands in the register without its e-card")
        return self._register.get_card(card_ref)


def caller_of(link: Link) -> Caller:
    """The channel of a link, as a caller of other services."""
    return Caller(link.app_id, Role.CHANNEL)


def _require_count(count: int, ecard: Ecard) -> None:
    if not 1 <= count <= MOST_CODES:
        raise InvalidInput("bad_code_count", f"want 1 to {MOST_CODES} codes")
    if count > ecard.policy.claims.codes_ahead:
        raise RuleViolation(
            "codes_ahead_not_permitted", f"the region permits {ecard.policy.claims.codes_ahead} at a time"
        )


def _released() -> RuleViolation:
    return RuleViolation("link_released", "this link was released")
