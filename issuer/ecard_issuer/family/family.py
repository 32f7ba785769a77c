"""Family e-cards (亲情服务): linked with consent, shown while that holds, ended by either side at once.

Nobody has to end what ends by itself: whether a link still holds is asked anew at every use, of the e-card, the date
and the guardianship. Places that such links hold are freed when the next relative is added.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from ecard_card.acting import IN_PERSON, Act, Acting, Ground
from ecard_card.age import comes_of_age
from ecard_card.card import IdNumber
from ecard_card.errors import InvalidInput, NotAllowed, NotFound, RuleViolation
from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.chosen_ids import CHOSEN_ID
from ecard_issuer.ecards import Ecard, Ecards
from ecard_issuer.family.link import FamilyEnd, LinkRow, Links, Proof, Relation, Side
from ecard_issuer.people import People
from ecard_issuer.pins.passwords import Passwords
from ecard_issuer.pins.secret import Secret
from ecard_verifier.callers import Caller, Role

_CLERKS: Final = frozenset({Role.DESK, Role.OPERATOR})


@dataclass(frozen=True, slots=True)
class Consent:
    """That a relative's e-card may be shown: by the relative (`OWN`) or their guardian.

    A relative consents by their own e-card password, or before a clerk who has `document`, their ID number, before
    them. `text` names what was agreed to; `until` (aware) ends it.
    """

    text: str
    acting: Acting = IN_PERSON
    password: Secret | None = field(default=None, repr=False)
    document: IdNumber | None = field(default=None, repr=False)
    until: datetime | None = None

    def __post_init__(self) -> None:
        if not CHOSEN_ID.fullmatch(self.text) or (self.until is not None and self.until.tzinfo is None):
            raise InvalidInput("bad_consent", "want the name of a text, and a time with its zone")


@dataclass(frozen=True, slots=True)
class LinkState:
    """A link as one side sees it; `over` says why it holds no longer."""

    link: LinkRow
    side: Side
    over: FamilyEnd | None


class Family:
    """Every verb may raise `Unavailable`, and what `ActingRules.require` raises."""

    def __init__(
        self,
        people: People,
        ecards: Ecards,
        links: Links,
        passwords: Passwords,
        rules: ActingRules,
        random: Callable[[int], bytes] = randomness.token_bytes,
    ) -> None:
        self._people, self._ecards, self._links = people, ecards, links
        self._passwords, self._rules, self._random = passwords, rules, random

    def link(
        self,
        viewer: IdNumber,
        relative: IdNumber,
        relation: Relation,
        consent: Consent,
        caller: Caller,
        now: datetime,
        *,
        ecard_id: str | None = None,
    ) -> LinkRow:
        """Let `viewer` show an e-card of `relative`; again with the same kind of consent, it stays as it is.

        A consent of the relative's own takes the place of a guardian's. Raises `RuleViolation`: `family_self`,
        `family_viewer_without_ecard`, `family_relative_without_ecard`, `family_full`, `family_consent_needed` (proven
        by neither password nor document), `guardian_needed` (a minor consents by nobody else); what
        `Passwords.verify` raises; `NotAllowed` `document_of_other_person`.
        """
        viewer_ref, relative_ref = self._people.references.holder(viewer), self._people.references.holder(relative)
        if viewer_ref == relative_ref:
            raise RuleViolation("family_self", "both are the same person")
        own = self._ecard_of_viewer(viewer_ref, now)
        shown = self._ecard_of_relative(relative_ref, ecard_id, now)
        self._rules.require(IN_PERSON, viewer_ref, Act.SHOW_CODE, now)
        proof, ends_at, of_age = self._consented(relative, relative_ref, shown, consent, caller, now)
        self._settle(viewer_ref, now)
        before = self._links.between(viewer_ref, relative_ref)
        if before is not None and _same_kind(before, proof, shown):
            return before
        link = LinkRow(
            viewer_ref=viewer_ref,
            link_id=self._random(16).hex(),
            place=0,
            relative_ref=relative_ref,
            ecard_id=shown.ecard_id,
            relation=relation,
            proof=proof,
            mandate_id=consent.acting.mandate_id,
            consent=consent.text,
            entered_by=caller.name,
            started_at=now,
            ends_at=ends_at,
            of_age=of_age,
        )
        instead_of = None if before is None else before.link_id
        return self._links.add(link, own.policy.family.relatives, instead_of=instead_of)

    def may_show(self, viewer_ref: str, relative_ref: str, now: datetime) -> LinkRow:
        """The link under which one may show an e-card of the other now.

        Raises `NotAllowed` `family_not_permitted` (no link, or it is over: the detail says why), `RuleViolation`
        `ecard_not_usable` (the relative's card is lost or the like), `family_viewer_without_ecard`.
        """
        link = self._links.between(viewer_ref, relative_ref)
        over = None if link is None else self._over(link, now)
        if link is None or over is not None:
            raise NotAllowed("family_not_permitted", "no consent" if over is None else f"over: {over.value}")
        self._ecard_of_viewer(viewer_ref, now)
        self._ecards.usable(link.ecard_id, now)
        return link

    def shown_by(self, viewer_ref: str) -> tuple[LinkRow, ...]:
        """The links of a person that nobody ended; whether one still holds says `may_show`."""
        return self._links.live(viewer_ref)

    def record_shown(self, link: LinkRow, showing_id: str, caller: Caller, now: datetime) -> bool:
        """Record for both that the e-card was shown; False for a repetition. Raises as `may_show`; `Conflict`
        `family_showing_differs`; `InvalidInput` `bad_event_id`."""
        if not CHOSEN_ID.fullmatch(showing_id):
            raise InvalidInput("bad_event_id", "want 1 to 64 letters, digits and . _ : -")
        permitted = self.may_show(link.viewer_ref, link.relative_ref, now)
        if permitted.link_id != link.link_id:
            raise NotAllowed("family_not_permitted", "another link took its place")
        return self._links.add_showing(link, showing_id, caller.name, now)

    def end(self, holder: IdNumber, link_id: str, now: datetime, *, acting: Acting = IN_PERSON) -> LinkState:
        """End a link, by the wish of whichever side `holder` is; one that is over stays as it was.

        Raises `NotFound` `family_link_unknown`: this holder has no such link.
        """
        holder_ref = self._people.references.holder(holder)
        self._rules.require(acting, holder_ref, Act.SHOW_CODE, now)
        link, side = self.get(holder_ref, link_id)
        over = self._over(link, now)
        by_wish = FamilyEnd.VIEWER if side is Side.VIEWER else FamilyEnd.RELATIVE
        ended = self._links.end(link, over or by_wish, now)
        return LinkState(ended, side, ended.end)

    def get(self, holder_ref: str, link_id: str) -> tuple[LinkRow, Side]:
        """A link of this holder and their side of it. Raises `NotFound` `family_link_unknown`."""
        link = self._links.find(holder_ref, link_id)
        if link is not None:
            return link, Side.VIEWER
        for seen in self._links.of(holder_ref, Side.RELATIVE):
            if seen.link_id == link_id:
                return seen, Side.RELATIVE
        raise NotFound("family_link_unknown", "this holder has no such link")

    def of(self, holder: IdNumber, now: datetime) -> tuple[LinkState, ...]:
        """All links of a person on either side, those that are over too."""
        holder_ref = self._people.references.holder(holder)
        return tuple(
            LinkState(link, side, self._over(link, now)) for side in Side for link in self._links.of(holder_ref, side)
        )

    def _of_age(self, relative: IdNumber, years: int) -> datetime:
        """When they come of age, by the date that their number tells, else by the one told when they were entered; long
        ago, where nobody told it: that makes nobody a minor."""
        born, known = relative.birth_date, self._people.find(relative)
        if born is None and known is not None:
            born = self._people.person(known).birth_date
        return datetime.min.replace(tzinfo=UTC) if born is None else comes_of_age(born, years)

    def _consented(
        self, relative: IdNumber, relative_ref: str, shown: Ecard, consent: Consent, caller: Caller, now: datetime
    ) -> tuple[Proof, datetime | None, bool]:
        """How the consent is proven, when it ends by itself, and whether because a child comes of age."""
        ground = consent.acting.ground
        of_age = self._of_age(relative, shown.policy.family.of_age)
        if consent.until is not None and consent.until <= now:
            raise InvalidInput("bad_consent", "it ended before it began")
        if ground is Ground.OWN and now < of_age:
            raise RuleViolation("guardian_needed", "the relative is not of age")
        if ground not in (Ground.OWN, Ground.GUARDIAN):
            raise RuleViolation("family_consent_needed", "the relative's own, or their guardian's")
        self._rules.require(consent.acting, relative_ref, Act.SHOW_CODE, now)
        if ground is Ground.GUARDIAN:
            minor = now < of_age and (consent.until is None or of_age <= consent.until)
            return Proof.GUARDIAN, of_age if minor else consent.until, minor
        if consent.password is not None:
            self._passwords.verify(shown.ecard_id, consent.password, caller, now)
            return Proof.PASSWORD, consent.until, False
        if consent.document is not None and caller.role in _CLERKS:
            if consent.document != relative:
                raise NotAllowed("document_of_other_person", "the document's number is not the relative's")
            return Proof.IN_PERSON, consent.until, False
        raise RuleViolation("family_consent_needed", "by their e-card password, or before a clerk")

    def _over(self, link: LinkRow, now: datetime) -> FamilyEnd | None:
        """Why a link holds no longer; None while it does."""
        if link.ended_at is not None:
            return link.end
        if link.ends_at is not None and now >= link.ends_at:
            return FamilyEnd.OF_AGE if link.of_age else FamilyEnd.TERM
        try:
            self._ecards.get(link.ecard_id, now)
        except (NotFound, RuleViolation):
            return FamilyEnd.ECARD_ENDED
        if link.proof is Proof.GUARDIAN:
            try:
                acting = Acting(Ground.GUARDIAN, link.mandate_id)
                self._rules.require(acting, link.relative_ref, Act.SHOW_CODE, now)
            except RuleViolation:
                return FamilyEnd.GUARDIANSHIP_ENDED
        return None

    def _settle(self, viewer_ref: str, now: datetime) -> None:
        """Free the places of links that are over."""
        for link in self._links.live(viewer_ref):
            over = self._over(link, now)
            if over is not None:
                self._links.end(link, over, now)

    def _ecard_of_viewer(self, viewer_ref: str, now: datetime) -> Ecard:
        own = self._ecards.of_holder(viewer_ref, now)
        if not own:
            raise RuleViolation("family_viewer_without_ecard", "whoever shows others' e-cards has one")
        return own[0]

    def _ecard_of_relative(self, relative_ref: str, ecard_id: str | None, now: datetime) -> Ecard:
        for ecard in self._ecards.of_holder(relative_ref, now):
            if ecard_id in (None, ecard.ecard_id):
                return ecard
        raise RuleViolation("family_relative_without_ecard", "the relative has no such e-card")


def _same_kind(before: LinkRow, proof: Proof, shown: Ecard) -> bool:
    """Whether a new consent says no more than the one before: the same e-card, by the guardian or not as before."""
    return before.ecard_id == shown.ecard_id and (before.proof is Proof.GUARDIAN) is (proof is Proof.GUARDIAN)
