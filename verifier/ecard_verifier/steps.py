"""The steps that every check has, whoever issued what was shown: validity, freshness, audience, status. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil

from ecard_card.disclosure import digest
from ecard_card.errors import CheckFailed, EcardError
from ecard_card.status import EcardStatus
from ecard_verifier.policy import Policy
from ecard_verifier.presented import Shown
from ecard_verifier.statuses import StatusReading
from ecard_verifier.verdict import CheckLine


class Walk:
    """What the steps of one check share (time, policy), and at which step we are. Times are NumericDates."""

    __slots__ = ("_begun", "at", "now", "policy", "steps")

    def __init__(self, seconds: float, policy: Policy, steps: tuple[str, ...]) -> None:
        self.now = int(seconds)
        self._begun = ceil(seconds)
        self.policy = policy
        self.steps = steps
        self.at = 1

    def stopped_by(self, error: EcardError) -> tuple[CheckLine, ...]:
        """A line per step: those behind us, the one that refused, and those never reached."""
        failed = CheckLine(self.at, self.steps[self.at - 1], False, str(error))
        return (*passed(self.steps)[: self.at - 1], failed, *_not_reached(self.steps)[self.at :])

    def in_validity(self, issued_at: int, not_before: int, expires_at: int) -> None:
        """Raises `CheckFailed` `not_yet_valid`, `expired`."""
        skew = self.policy.skew
        if max(issued_at, not_before) > self.now + skew:
            raise CheckFailed("not_yet_valid", "the credential is not valid yet")
        if expires_at < self.now - skew:
            raise CheckFailed("expired", "the credential has expired")

    def fresh(self, shown: Shown) -> None:
        """Raises `CheckFailed` `code_from_future`, `code_expired`."""
        if shown.issued_at > self.now + self.policy.skew:
            raise CheckFailed("code_from_future", "the device signed at a time that has not come")
        if shown.issued_at < self.now - self.policy.code_life - self.policy.skew:
            raise CheckFailed("code_expired", "the device signed too long ago")

    def addressed(
        self, shown: Shown, audience: str | None, nonce: str | None, transaction_data: Sequence[str] = ()
    ) -> None:
        """Raises `CheckFailed` `audience_missing`, `wrong_audience`, `challenge_unanswered`, `wrong_nonce`,
        `transaction_data_missing`, `transaction_data_differs`."""
        if shown.audience is None and shown.nonce is None and self.policy.audience_required:
            raise CheckFailed("audience_missing", "this policy wants a code made for this verifier")
        if shown.audience is not None and shown.audience != audience:
            raise CheckFailed("wrong_audience", "made for another verifier")
        if nonce is not None and shown.nonce is None:
            raise CheckFailed("challenge_unanswered", "a code that answers no challenge, where one was asked")
        if shown.nonce != nonce:
            raise CheckFailed("wrong_nonce", "not an answer to this verifier's challenge")
        if not (transaction_data or shown.transaction_hashes):
            return
        if not shown.transaction_hashes:
            raise CheckFailed("transaction_data_missing", "the holder did not confirm what was asked")
        if sorted(shown.transaction_hashes) != sorted(map(digest, transaction_data)):
            raise CheckFailed("transaction_data_differs", "the holder confirmed something else than what was asked")

    def status(self, reading: StatusReading) -> str:
        """`ok` or `status_aging`; raises for every other reading."""
        if reading.value == EcardStatus.INVALID:  # final: true however old the list is
            raise CheckFailed("ended", "the e-card was cancelled or its card replaced")
        age = self._begun - reading.as_of  # a second that has begun counts: else the bound would be one longer
        if age < -self.policy.skew:
            raise CheckFailed("clock_behind", "our clock is behind the status list's date")
        if reading.expires_at is not None and reading.expires_at < self.now - self.policy.skew:
            raise CheckFailed("status_expired", "the status list has expired")
        if age > self.policy.status_usable:
            raise CheckFailed("status_stale", "the status is older than the policy can use")
        if reading.value == EcardStatus.SUSPENDED:
            raise CheckFailed("suspended", "the card is reported lost or locked")
        if reading.value != EcardStatus.VALID:
            raise CheckFailed("status_not_understood", "a status value that we do not know")
        return "ok" if age <= self.policy.status_fresh else "status_aging"


def code_expiry(shown: Shown, policy: Policy) -> datetime:
    """When what was shown is too old to be fresh."""
    return datetime.fromtimestamp(shown.issued_at + policy.code_life + policy.skew, UTC)


@lru_cache
def passed(steps: tuple[str, ...]) -> tuple[CheckLine, ...]:
    """A line per step, every one of them passed."""
    return tuple(CheckLine(number, name, True) for number, name in enumerate(steps, 1))


@lru_cache
def _not_reached(steps: tuple[str, ...]) -> tuple[CheckLine, ...]:
    return tuple(CheckLine(number, name, None) for number, name in enumerate(steps, 1))
