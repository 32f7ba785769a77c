"""Setting a region's policy: what it would change is shown first, and two people must want it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from ecard_card import messages
from ecard_card.effective import effective_status
from ecard_card.errors import InvalidInput, RuleViolation
from ecard_card.region_policy import RegionPolicy, read_policy, regions_above
from ecard_issuer.approvals import Approvals, Change
from ecard_issuer.policies.book import PolicyBook
from ecard_issuer.policies.differences import Difference, differences
from ecard_issuer.policies.values import LEAD, LONGEST_AHEAD, PolicyLog, PolicyRow
from ecard_verifier.verdict import rfc3339


@dataclass(frozen=True, slots=True)
class Preview:
    """What would come of a policy. `cards` are under it, of which `changed` would have another status of their e-card
    if it held now instead of what does (the holder's own locks and expiry apart)."""

    region: str
    effective_from: datetime
    digest: str
    differences: tuple[Difference, ...]
    cards: int
    changed: int

    def words(self, language: messages.Language) -> tuple[str, ...]:
        """The same for a person, a sentence each."""
        said = [difference.words(language) for difference in self.differences]
        if not said:
            said = [messages.text("policy_no_difference", language)]
        counted = messages.text("policy_cards", language).format(cards=self.cards, changed=self.changed)
        return (*said, counted)


class PolicyOffice:
    """Sets policies. `now` aware UTC, `effective_from` aware, in whole seconds."""

    def __init__(self, log: PolicyLog, book: PolicyBook, approvals: Approvals) -> None:
        self._log = log
        self._book = book
        self._approvals = approvals

    def preview(self, document: str, effective_from: datetime, now: datetime) -> Preview:
        """What `set` would do, without doing it. Raises `InvalidInput` and `RuleViolation` as `set` does."""
        policy, moment = read_policy(document), _moment(effective_from, now)
        before = self._book.policy_of(policy.region, moment)
        nearer = self._book.regions() - set(regions_above(policy.region))
        cards = changed = 0
        for (region, status), count in self._log.cards_in(policy.region).items():
            if not nearer.isdisjoint(regions_above(region)):
                continue  # a policy of its own, of a region below this one, goes before
            cards += count
            if effective_status(status, policy=policy) is not effective_status(status, policy=before):
                changed += count
        return Preview(policy.region, moment, digest_of(document), differences(before, policy), cards, changed)

    def set(self, document: str, effective_from: datetime, actor: str, now: datetime) -> PolicyRow:
        """Let `document` hold in its region from `effective_from` on. Saying the same again changes nothing.

        Raises `InvalidInput` `bad_region_policy`, `bad_policy_moment` (no zone, not whole seconds, years ahead);
        `RuleViolation` `policy_too_soon` (back-dated, or less than a minute ahead); `ApprovalNeeded`.
        """
        policy, moment = read_policy(document), _moment(effective_from, now)
        digest = digest_of(document)
        same = [row for row in self._log.of_region(policy.region) if row.effective_from == moment]
        if same and same[-1].digest == digest:
            return same[-1]
        change = _change(policy, self._book.policy_of(policy.region, moment), moment, digest)
        grant = self._approvals.require(change, actor, now)
        row = self._log.append(PolicyRow(0, policy.region, moment, document, digest, actor, now), grant=grant)
        self._book.refresh()
        return row


def digest_of(document: str) -> str:
    """Hex SHA-256 over the document's UTF-8."""
    return hashlib.sha256(document.encode()).hexdigest()


def _change(policy: RegionPolicy, before: RegionPolicy, moment: datetime, digest: str) -> Change:
    said = [f"{item.setting}: {item.before} -> {item.after}" for item in differences(before, policy)]
    facts = {"effective_from": rfc3339(moment), "digest": digest, "source": policy.source, "differences": said}
    return Change("policy.set", policy.region, facts)


def _moment(effective_from: datetime, now: datetime) -> datetime:
    if effective_from.tzinfo is None or effective_from.microsecond:
        raise InvalidInput("bad_policy_moment", "want a time with its zone, in whole seconds")
    if effective_from - now > LONGEST_AHEAD:
        raise InvalidInput("bad_policy_moment", "more than ten years ahead")
    if effective_from - now < LEAD:
        raise RuleViolation("policy_too_soon", "a policy takes effect at least a minute after it was set")
    return effective_from.astimezone(UTC)
