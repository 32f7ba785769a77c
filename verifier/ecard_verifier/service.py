"""The counter service's one verb: judge a code, accept it once, remember when and where.

`check` judges and keeps nothing; what has to be kept (first use, the newest trust, the mirror) is put beside it here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from ecard_card.card import ChipAssurance
from ecard_card.errors import EcardError
from ecard_card.jose import b64url_encode
from ecard_verifier.check import STEPS, check
from ecard_verifier.numbers import NumberSource, as_number
from ecard_verifier.policy import ONLINE_POLICY, Policy
from ecard_verifier.replay import FirstSeen, ReplayGuard
from ecard_verifier.statuses import CredentialSource, Dated, Statuses
from ecard_verifier.trust_source import TrustProvider
from ecard_verifier.verdict import OUTCOMES, CheckLine, Outcome, Verdict, outcome_of

FIRST_USE: Final = "first use"
#: Refusals that a newer trust list may turn.
_KEYS_MAY_HAVE_CHANGED: Final = ("unknown_key", "key_not_active")
_ACCEPTED: Final = (Outcome.VALID, Outcome.CHECK)


@dataclass(frozen=True, slots=True)
class Result:
    """A verdict as recorded. `first_seen` is set when the code was accepted before, `code` is what was judged: where
    digits were typed, the code that they stood for."""

    verification_id: str
    verdict: Verdict
    first_seen: FirstSeen | None
    recorded_at: datetime
    code: str = field(default="", repr=False)
    answers: str | None = field(default=None, repr=False)  # the nonce that was asked


@dataclass(frozen=True, slots=True)
class Asked:
    """What a verifier's own request asked the holder's device to sign: a nonce, and texts to confirm."""

    nonce: str | None = None
    transaction_data: tuple[str, ...] = ()


NOTHING_ASKED: Final = Asked()


class MustWait(Exception):
    """The verdict depends on what somebody says over a network. Nothing was kept of the question."""


def utc_now() -> datetime:
    """The clock of a running service."""
    return datetime.now(UTC)


class VerificationService:
    """Safe from several threads. `audience` is what this verifier is called when a request names nothing else.

    `at_hand` is what can be read of `statuses` without asking anybody, all of it where nothing is given.
    """

    def __init__(
        self,
        trust: TrustProvider,
        statuses: Statuses,
        credentials: CredentialSource | None,
        replay: ReplayGuard,
        policy: Policy = ONLINE_POLICY,
        clock: Callable[[], datetime] = utc_now,
        *,
        audience: str | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        numbers: NumberSource | None = None,
        at_hand: Statuses | None = None,
    ) -> None:
        self._trust, self._statuses, self._credentials = trust, statuses, credentials
        self._at_hand = statuses if at_hand is None else at_hand
        self._replay, self._policy, self._clock = replay, policy, clock
        self._audience, self._random_bytes = audience, random_bytes
        self._numbers = numbers

    def verify(
        self,
        code: str,
        *,
        counter: str | None = None,
        audience: str | None = None,
        minimum_assurance: ChipAssurance | None = None,
        again_here: bool = False,
        asked: Asked = NOTHING_ASKED,
        at_once: bool = False,
    ) -> Result:
        """Judge `code` (any text) for `counter`; a verdict in every case.

        A code that came out `valid` or `check` is used up; the second time it is `invalid` with reason `replayed`, or,
        with `again_here`, at the counter that had it the first time `check` with reason `shown_again`.
        A code refused for another reason is not used up: a person may show it again once the reason is gone.
        Ten digits stand for a code where `numbers` says which. `minimum_assurance` can raise the service's own
        demand, not lower it. `asked` is what the holder's signature has to answer. With `at_once` nobody is asked over
        a network: raises `MustWait` where the verdict depends on that.
        """
        policy, now = self._policy_with(minimum_assurance), self._clock()
        number = None if self._numbers is None or asked.nonce is not None else as_number(code)
        if number is not None and self._numbers is not None:
            if at_once:
                raise MustWait
            try:
                code = self._numbers.code_of(number, counter or "")
            except EcardError as error:
                verdict = self._judge(code, now, policy, audience, asked)
                unknown = replace(verdict, outcome=outcome_of(error), reason=error.code)
                return Result(self.new_id(), unknown, None, now)
        verdict = self._judge(code, now, policy, audience, asked, at_once=at_once)
        if at_once and verdict.reason in (*_KEYS_MAY_HAVE_CHANGED, "status_unknown"):
            raise MustWait
        if verdict.reason in _KEYS_MAY_HAVE_CHANGED and self._trust.refresh():
            verdict = self._judge(code, now, policy, audience, asked)
        if verdict.reason == "unknown_credential" and self._behind(now, policy):
            verdict = replace(verdict, outcome=Outcome.UNDECIDED, reason="mirror_behind")
        verdict, first_seen = self._once(verdict, counter or "", now, again_here)
        return Result(self.new_id(), verdict, first_seen, now, code, asked.nonce)

    def judge_past(
        self,
        code: str,
        scanned_at: datetime,
        *,
        audience: str | None = None,
        minimum_assurance: ChipAssurance | None = None,
    ) -> Result:
        """Judge a code that was shown at `scanned_at` by what is known now; it is not used up.

        The code must have been fresh then. A card that was lost since is refused: a status has no past.
        """
        now = self._clock()
        strict = self._policy_with(minimum_assurance)
        late = max(0, int((now - scanned_at).total_seconds()))
        lenient = replace(strict, code_life=strict.code_life + late)
        verdict = self._judge(code, now, lenient, audience, NOTHING_ASKED)
        ends = verdict.code_expires_at
        if ends is not None and ends - timedelta(seconds=lenient.code_life) > scanned_at + 2 * _skew(strict):
            line = CheckLine(len(STEPS) + 1, FIRST_USE, None, "the device signed after the code was scanned")
            verdict = _refused(verdict, Outcome.INVALID, "code_from_future", line)
        return Result(self.new_id(), verdict, None, now, code)

    @property
    def trust(self) -> TrustProvider:
        """Whom this service believes."""
        return self._trust

    @property
    def audience(self) -> str | None:
        """What this service is called where a request says nothing else."""
        return self._audience

    @property
    def policy(self) -> Policy:
        """What this service demands of every code."""
        return self._policy

    @property
    def statuses_as_of(self) -> datetime | None:
        """As of when statuses are known, of every issuer that is followed; None where that cannot be said."""
        as_of = self._statuses.as_of if isinstance(self._statuses, Dated) else None
        return None if as_of is None else datetime.fromtimestamp(as_of, UTC)

    def now(self) -> datetime:
        """By the clock of this service."""
        return self._clock()

    def _policy_with(self, minimum_assurance: ChipAssurance | None) -> Policy:
        """The service's own, with a higher demand where one is made."""
        if minimum_assurance is None or minimum_assurance <= self._policy.minimum_assurance:
            return self._policy
        return replace(self._policy, minimum_assurance=minimum_assurance)

    def new_id(self) -> str:
        """A name for a verdict, with 128 random bits."""
        return "ver_" + b64url_encode(self._random_bytes(16))

    def _judge(
        self, code: str, now: datetime, policy: Policy, audience: str | None, asked: Asked, *, at_once: bool = False
    ) -> Verdict:
        return check(
            code,
            self._trust.current(),
            self._at_hand if at_once else self._statuses,
            now,
            policy,
            credentials=self._credentials,
            audience=audience or self._audience,
            nonce=asked.nonce,
            transaction_data=asked.transaction_data,
        )

    def _behind(self, now: datetime, policy: Policy) -> bool:
        """Whether a credential that we have not heard of may well exist."""
        source: object = self._credentials
        if not isinstance(source, Dated):
            return False
        as_of = source.as_of
        return as_of is None or now.timestamp() - as_of > policy.status_fresh + policy.skew

    def _once(
        self, verdict: Verdict, counter: str, now: datetime, again_here: bool
    ) -> tuple[Verdict, FirstSeen | None]:
        number = len(STEPS) + 1
        key, until = verdict.replay_key, verdict.code_expires_at
        if verdict.outcome not in _ACCEPTED or key is None or until is None:
            return replace(verdict, checks=(*verdict.checks, CheckLine(number, FIRST_USE, None))), None
        try:
            seen = self._replay.claim(key, until, counter, now)
        except EcardError as error:
            line = CheckLine(number, FIRST_USE, False, str(error))
            return _refused(verdict, outcome_of(error), error.code, line), None
        if seen is None:
            return replace(verdict, checks=(*verdict.checks, CheckLine(number, FIRST_USE, True))), None
        line = CheckLine(number, FIRST_USE, False, "replayed: this code was accepted before")
        if again_here and counter and seen.where == counter:
            again = replace(verdict, outcome=OUTCOMES["shown_again"], reason="shown_again")
            return replace(again, checks=(*verdict.checks, line)), seen
        return _refused(verdict, Outcome.INVALID, "replayed", line), seen


def _skew(policy: Policy) -> timedelta:
    return timedelta(seconds=policy.skew)


def _refused(verdict: Verdict, outcome: Outcome, reason: str, line: CheckLine) -> Verdict:
    """The verdict without what only an accepted code may show."""
    return replace(verdict, outcome=outcome, reason=reason, checks=(*verdict.checks, line), claims={})
