"""Whether a card is present: a code judged by the verifier's own check against the register itself, a chip that
answered a question of this service, or a holder who logged in to this service's site a moment ago.

The register is the truth, so a status read here is as of now. What is shown is not used up here: that is done in the
transaction that puts the access on the person's record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from ecard_card.card import ChipAssurance
from ecard_card.errors import CheckFailed, EcardError, NotFound, RuleViolation, Unavailable
from ecard_card.status import EcardStatus
from ecard_issuer.card_effect import PolicyOf, card_effect
from ecard_issuer.ecards import Ecard
from ecard_issuer.keyring import IssuerIdentity
from ecard_issuer.login.attempts import LoginRow
from ecard_issuer.login.rules import PRESENCE_LIFE
from ecard_issuer.ports import Cards, Enrolments, Statuses
from ecard_issuer.relying.records import Used
from ecard_issuer.relying.rules import Ask
from ecard_issuer.relying.services import RelyingService
from ecard_issuer.rows import CardRow
from ecard_issuer.states import BindingState, EnrolmentState
from ecard_keys.status_uri import belongs_to
from ecard_keys.trust.trust import Trust
from ecard_verifier.check import check
from ecard_verifier.policy import ONLINE_POLICY, Policy
from ecard_verifier.statuses import StatusReading
from ecard_verifier.verdict import Outcome, Verdict


class Way(StrEnum):
    """How the card was shown."""

    CODE = "code"
    CHIP = "chip"
    LOGIN = "login"  # the holder confirmed a login to this service's site
    STANDING = "standing"  # by the permission that an earlier check gave
    APP = "app"  # the holder agreed in an app, by the e-card password


@dataclass(frozen=True, slots=True)
class Presented:
    """What was found. `refusal` says why the card may not be relied on; `card` is None where it is not known at all."""

    way: Way
    card: CardRow | None = None
    ecard_id: str | None = None
    assurance: ChipAssurance | None = None
    used: Used | None = None
    refusal: EcardError | None = None


class PresenceRegister(Cards, Enrolments, Statuses, Protocol):
    """The part of the register that judging needs."""


def terminal_of(service_id: str) -> str:
    """The terminal of the chip readings that a service asks for: nobody else can use them."""
    return f"relying:{service_id}"


class Presence:
    """Judges what is shown to relying services. `login_of` finds a login by its id."""

    def __init__(
        self,
        register: PresenceRegister,
        identity: IssuerIdentity,
        trust: Callable[[datetime], Trust],
        policy_of: PolicyOf,
        login_of: Callable[[str], LoginRow | None],
    ) -> None:
        self._login_of = login_of
        self._register = register
        self._identity = identity
        self._trust = trust
        self._policy_of = policy_of

    def judge(self, service: RelyingService, ask: Ask, now: datetime) -> Presented:
        """Never raises for what was shown; raises `NotFound` `enrolment_unknown`, `Unavailable` where the register
        does not answer."""
        if ask.code is not None:
            return self._code(service, ask.code, ask.answers, now)
        if ask.login_id is not None:
            return self._login(service, ask.login_id, ask.request_id, now)
        return self._reading(service, ask.reading_id or "", now)

    def _code(self, service: RelyingService, code: str, answers: str | None, now: datetime) -> Presented:
        if "~" in code:
            token = CheckFailed("unreadable_code", "want a code as the e-card shows it, not a token")
            return Presented(Way.CODE, refusal=token)
        policy = replace(ONLINE_POLICY, minimum_assurance=service.proof)
        return self.shown(code, service.service_id, policy, now, answers=answers)

    def shown(
        self, code: str, audience: str | None, policy: Policy, now: datetime, *, answers: str | None = None
    ) -> Presented:
        """Whose card a code shows, which must be fresh, where it names somebody made for `audience`, and answer the
        challenge `answers`, if one was asked."""
        source = _RegisterSource(self._register, self._identity.status_uri, now)
        trust = self._current_trust(now)
        verdict = check(code, trust, source, now, policy, credentials=source, audience=audience, nonce=answers)
        return self._presented(verdict, now)

    def _current_trust(self, now: datetime) -> Trust | None:
        """None while our own list is out of date: then nothing can be said of any card."""
        try:
            return self._trust(now)
        except CheckFailed:
            return None

    def _presented(self, verdict: Verdict, now: datetime) -> Presented:
        refusal = _refusal(verdict)
        if verdict.credential_id is None:
            return Presented(Way.CODE, refusal=refusal)
        if verdict.issuer != self._identity.issuer:
            other = RuleViolation("card_of_other_authority", "another authority issued this card; ask that one")
            return Presented(Way.CODE, refusal=other)
        row = self._register.find_credential(verdict.credential_id)
        if row is None:
            unknown = CheckFailed("unknown_credential", "the register has no such credential")
            return Presented(Way.CODE, refusal=refusal or unknown)
        card = self._register.get_card(row.card_ref)
        used = None
        if verdict.replay_key is not None and verdict.code_expires_at is not None:
            used = Used(hashlib.sha256(b"code\n" + verdict.replay_key).hexdigest(), verdict.code_expires_at)
        refusal = refusal or self._unusable(card, now)
        return Presented(Way.CODE, card, row.ecard_id, verdict.chip_assurance, used, refusal)

    def _reading(self, service: RelyingService, reading_id: str, now: datetime) -> Presented:
        enrolment = self._register.get_enrolment(reading_id)
        if enrolment.terminal_id != terminal_of(service.service_id):
            raise NotFound("enrolment_unknown", "no reading of this service has this id")
        if enrolment.state is not EnrolmentState.PROVEN or enrolment.card_ref is None or enrolment.assurance is None:
            return Presented(
                Way.CHIP, refusal=RuleViolation("enrolment_not_proven", "the chip has not answered, or was used before")
            )
        card = self._register.get_card(enrolment.card_ref)
        binding = self._register.find_binding(card.card_ref)
        ecard_id = binding.ecard_id if binding is not None and binding.state is BindingState.LIVE else None
        used = Used(hashlib.sha256(f"reading\n{reading_id}".encode()).hexdigest(), enrolment.expires_at)
        refusal = self._unusable(card, now)
        if enrolment.expires_at <= now:
            refusal = RuleViolation("enrolment_expired", "the chip answered too long ago")
        elif refusal is None and enrolment.assurance < service.proof:
            refusal = CheckFailed("assurance_too_low", f"the chip was proven as {enrolment.assurance.label} only")
        return Presented(Way.CHIP, card, ecard_id, enrolment.assurance, used, refusal)

    def _login(self, service: RelyingService, login_id: str, request_id: str, now: datetime) -> Presented:
        login = self._login_of(login_id)
        if login is None or login.service_id != service.service_id or login.code_used_at is None:
            raise NotFound("login_unknown", "no login to this service has this id")
        card_ref = self._register.card_of_ecard(login.ecard_id)
        if card_ref is None:
            return Presented(Way.LOGIN, refusal=CheckFailed("ended", "the e-card has ended"))
        card, until = self._register.get_card(card_ref), login.at + PRESENCE_LIFE
        assurance = ChipAssurance.from_label(login.chip_assurance)
        # Several requests may rest on one login, each once.
        used = Used(hashlib.sha256(f"login\n{login_id}\n{request_id}".encode()).hexdigest(), until)
        refusal = self._unusable(card, now)
        if until <= now:
            refusal = RuleViolation("login_too_old", "the holder logged in too long ago")
        elif card.holder_ref != login.holder_ref:
            refusal = CheckFailed("ended", "the e-card is another person's now")
        elif refusal is None and assurance < service.proof:
            refusal = CheckFailed("assurance_too_low", f"the chip was proven as {assurance.label} only")
        return Presented(Way.LOGIN, card, login.ecard_id, assurance, used, refusal)

    def agreed(self, service: RelyingService, ask: Ask, ecard: Ecard, until: datetime) -> Presented:
        """What an app told of its holder: that they agreed to the request `ask.request_id`, good until then."""
        binding = self._register.find_binding(ecard.card.card_ref)
        used = Used(hashlib.sha256(f"app\n{ask.request_id}".encode()).hexdigest(), until)
        if binding is None or binding.assurance < service.proof:
            weak = CheckFailed("assurance_too_low", "the chip was proven too weakly for this service")
            return Presented(Way.APP, ecard.card, ecard.ecard_id, used=used, refusal=weak)
        return Presented(Way.APP, ecard.card, ecard.ecard_id, binding.assurance, used)

    def _unusable(self, card: CardRow, now: datetime) -> EcardError | None:
        """Why the card itself may not be used, by its own row: it is newer than any clock-driven change of a list."""
        match card_effect(card, self._policy_of(card.region, now), now):
            case EcardStatus.VALID:
                return None
            case EcardStatus.SUSPENDED:
                return CheckFailed("suspended", "the card is reported lost or locked")
            case EcardStatus.INVALID:
                return CheckFailed("ended", "the card was cancelled or replaced")


class _RegisterSource:
    """Statuses and credentials for `check`, read from the register at `now`."""

    def __init__(self, register: PresenceRegister, template: str, now: datetime) -> None:
        self._register = register
        self._template = template
        self._as_of = int(now.astimezone(UTC).timestamp())

    def read(self, uri: str, index: int) -> StatusReading:
        if not belongs_to(uri, self._template):
            raise CheckFailed("status_unknown", "a status list of another authority")
        head, _, tail = self._template.partition("{list}")
        value = self._register.status_value(int(uri[len(head) : len(uri) - len(tail)]), index)
        if value is None:
            raise CheckFailed("status_unknown", "the register gave no such entry out")
        return StatusReading(int(value), self._as_of, None)

    def get(self, credential_id: bytes, /) -> bytes | None:
        row = self._register.find_credential(credential_id)
        return None if row is None else row.cwt


def _refusal(verdict: Verdict) -> EcardError | None:
    """The verdict as an error. What is undecided is our own fault, and what a person must look at is no permission."""
    refusal = verdict.reason
    if verdict.outcome is Outcome.VALID:
        return None
    if verdict.outcome is Outcome.INVALID:
        return CheckFailed(refusal, "the code does not hold")
    return Unavailable(refusal, "it cannot be said now whether the code holds")
