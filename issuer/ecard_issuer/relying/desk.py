"""On the strength of a card: a relying service asks, and gets what it may have of a person whose card is present.

Every answer is a permission checked anew: the service, what it asks, the card, the proof, who acts. Each access,
refused ones too, stands on the person's own record.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from ecard_card.acting import Act
from ecard_card.card import ChipAssurance
from ecard_card.china import china_date
from ecard_card.errors import CheckFailed, EcardError, InvalidInput, NotFound, RuleViolation
from ecard_issuer.accounts.office import OpenedAccount, why_unpayable
from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.ecards import Ecard
from ecard_issuer.levels.business import BusinessType
from ecard_issuer.pins.secret import Secret
from ecard_issuer.relying.accesses import sealed_access
from ecard_issuer.relying.claims import ACCOUNT_CLAIMS, Claim, disclosed, mask_tail
from ecard_issuer.relying.office import ServiceOffice
from ecard_issuer.relying.presence import Presence, Presented, Way
from ecard_issuer.relying.records import AccessRow, RelyingStore, SubjectRow
from ecard_issuer.relying.rules import Ask, request_hash, require_level, require_region, require_within
from ecard_issuer.relying.services import RelyingService
from ecard_issuer.rows import CardRow, HolderRow
from ecard_verifier.callers import Caller


class CardPins(Protocol):
    """The card's own PIN, 社会保障应用密码."""

    def verify(self, card_ref: str, pin: Secret, business: BusinessType, caller: Caller, now: datetime) -> object:
        """Return if it is the card's PIN and may be used for this; raises with a code that says why not."""
        ...


class HolderAccounts(Protocol):
    """Where money for a person goes."""

    def of_holder(self, holder_ref: str) -> OpenedAccount | None: ...


@dataclass(frozen=True, slots=True)
class Permission:
    """What a service was told, as of `at`. `missing` says by a code why a claim has no value."""

    access_id: str
    service: RelyingService
    subject: str
    way: Way
    claims: Mapping[str, object] = field(repr=False)
    missing: Mapping[str, str]
    assurance: ChipAssurance | None
    level: int
    at: datetime
    holder_ref: str


class RelyingDesk:
    """The use case. `level_of` gives the issue level of an e-card, 1 or 2."""

    def __init__(
        self,
        services: ServiceOffice,
        store: RelyingStore,
        cards: CardDesk,
        presence: Presence,
        accounts: HolderAccounts,
        rules: ActingRules,
        *,
        level_of: Callable[[str, datetime], int],
        pins: CardPins,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._services = services
        self._store = store
        self._cards = cards
        self._presence = presence
        self._accounts = accounts
        self._rules = rules
        self._level_of = level_of
        self._pins = pins
        self._random = random

    def check(
        self,
        service_id: str,
        caller: Caller,
        ask: Ask,
        now: datetime,
        *,
        act: Act = Act.USE_SERVICE,
        least_level: int = 1,
    ) -> Permission:
        """Judge what is shown and answer what was asked, once; the same request again gets the same answer for as long
        as the code holds. `least_level` is that of the e-card, where the service's own is lower.

        Raises `NotFound` `relying_service_unknown`, `enrolment_unknown`; `RuleViolation` `relying_service_not_yet`,
        `relying_service_ended`, `line_not_served`, `business_type_not_permitted`, `claim_not_permitted`,
        `card_of_other_authority`, `service_region_differs`, `level_too_low`, `pin_needed`, `enrolment_not_proven`,
        `enrolment_expired` and what `ActingRules` and `Pins` raise; `CheckFailed` with the reason of a verdict, or
        `replayed`; `Unavailable` with the reason of one that is undecided; `Conflict` `relying_request_differs`.
        """
        service = self._services.of_caller(service_id, caller)
        return self._judged(service, ask, self._presence.judge(service, ask, now), act, least_level, caller, now)

    def consented(
        self,
        service: RelyingService,
        ask: Ask,
        ecard: Ecard,
        until: datetime,
        caller: Caller,
        now: datetime,
        *,
        least_level: int,
    ) -> Permission:
        """As `check`, where the holder of `ecard` has agreed in an app to what `ask.request_id` names, until then.

        The proof of the chip is the binding's. Raises the rules of `check` that concern service, card and level, and
        `CheckFailed` `assurance_too_low`."""
        presented = self._presence.agreed(service, ask, ecard, until)
        return self._judged(service, ask, presented, Act.USE_SERVICE, least_level, caller, now)

    def _judged(
        self,
        service: RelyingService,
        ask: Ask,
        presented: Presented,
        act: Act,
        least_level: int,
        caller: Caller,
        now: datetime,
    ) -> Permission:
        shown = presented.used.code_key if presented.used is not None else ""
        digest = request_hash(service, ask, shown)
        try:
            card, level = self._require(service, ask, presented, act, caller, now)
            require_level(least_level, level)
            return self._admit(service, ask, presented, card, level, digest, now)
        except EcardError as error:
            if presented.card is not None:
                self._note(service, ask, presented, presented.card.holder_ref, digest, error.code, now)
            raise

    def account(
        self,
        service_id: str,
        caller: Caller,
        subject: str,
        request_id: str,
        line: int,
        business_type: str,
        claim: Claim,
        now: datetime,
    ) -> Permission:
        """The bank account of a person whom an earlier check named, while the permission stands: for payments that are
        made without the person there.

        Raises `NotFound` `relying_service_unknown`, `relying_subject_unknown` (also when the permission is over) and
        the rules of `check` that concern the service.
        """
        service = self._services.of_caller(service_id, caller)
        if claim not in ACCOUNT_CLAIMS:
            raise InvalidInput("bad_relying_request", "only the bank account can be asked for later")
        row = self._store.find_subject(subject)
        if row is None or row.service_id != service.service_id or row.until <= now:
            raise NotFound("relying_subject_unknown", "no permission of this service stands for this reference")
        ask = Ask(request_id, line, business_type, (claim,), reading_id=subject)
        presented = Presented(Way.STANDING)
        digest = request_hash(service, ask, subject)
        try:
            _require_service(service, ask, now)
        except EcardError as error:
            self._note(service, ask, presented, row.holder_ref, digest, error.code, now)
            raise
        access_id = self._note(service, ask, presented, row.holder_ref, digest, "ok", now)
        claims, missing = self._account_claims(service, (claim,), row.holder_ref)
        return Permission(access_id, service, subject, Way.STANDING, claims, missing, None, 1, now, row.holder_ref)

    def _require(
        self, service: RelyingService, ask: Ask, presented: Presented, act: Act, caller: Caller, now: datetime
    ) -> tuple[CardRow, int]:
        _require_service(service, ask, now)
        card = presented.card
        if presented.refusal is not None:
            raise presented.refusal
        if card is None or presented.used is None:
            raise CheckFailed("unknown_credential", "the register has no such card")
        require_region(service, card.region)
        level = 1 if presented.ecard_id is None else self._level_of(presented.ecard_id, now)
        require_level(service.level, level)
        self._rules.require(ask.acting, card.holder_ref, act, now)
        if service.pin:
            if ask.pin is None:
                raise RuleViolation("pin_needed", "this service asks for the card's PIN each time")
            business = BusinessType(ask.business_type)
            self._pins.verify(card.card_ref, Secret.typed(ask.pin), business, caller, now)
        return card, level

    def _admit(
        self,
        service: RelyingService,
        ask: Ask,
        presented: Presented,
        card: CardRow,
        level: int,
        digest: str,
        now: datetime,
    ) -> Permission:
        holder = self._cards.people.get(card.holder_ref)
        identity = self._cards.identity(card, holder)
        subject = self._cards.references.pairwise(service.service_id, card.holder_ref)
        claims = disclosed(ask.claims, identity, card, china_date(now))
        account, missing = self._account_claims(service, ask.claims, card.holder_ref)
        standing = None
        if service.standing_days and ACCOUNT_CLAIMS & set(ask.claims):
            until = now + timedelta(days=service.standing_days)
            standing = SubjectRow(subject, service.service_id, card.holder_ref, until)
        access = self._row(service, ask, presented, holder, digest, "ok", now)
        assert presented.used is not None  # noqa: S101 - `_require` has seen to it
        self._store.admit(access, presented.used, standing)
        assurance = presented.assurance
        values = claims | account
        return Permission(
            access.access_id, service, subject, presented.way, values, missing, assurance, level, now, card.holder_ref
        )

    def _account_claims(
        self, service: RelyingService, claims: Collection[Claim], holder_ref: str
    ) -> tuple[dict[str, object], dict[str, str]]:
        """What is told of the bank account, and why nothing is."""
        asked = ACCOUNT_CLAIMS & set(claims)
        if not asked:
            return {}, {}
        account = self._accounts.of_holder(holder_ref)
        reason = why_unpayable(account)
        if account is None or reason is not None:
            return {}, {claim.value: reason or "bank_account_missing" for claim in asked}
        bank = {"bank_code": account.row.bank_code}
        told: dict[str, object] = {}
        if Claim.BANK_ACCOUNT in asked:
            told[Claim.BANK_ACCOUNT.value] = bank | {"number": account.number.text}
        if Claim.BANK_ACCOUNT_TOKEN in asked:
            token = self._cards.references.pairwise(service.service_id, f"account {account.row.number_mac}")
            told[Claim.BANK_ACCOUNT_TOKEN.value] = bank | {"token": token, "number": mask_tail(account.number.text)}
        return told, {}

    def _note(
        self,
        service: RelyingService,
        ask: Ask,
        presented: Presented,
        holder_ref: str,
        digest: str,
        outcome: str,
        now: datetime,
    ) -> str:
        row = self._row(service, ask, presented, self._cards.people.get(holder_ref), digest, outcome, now)
        self._store.note(row)
        return row.access_id

    def _row(
        self,
        service: RelyingService,
        ask: Ask,
        presented: Presented,
        holder: HolderRow,
        digest: str,
        outcome: str,
        now: datetime,
    ) -> AccessRow:
        """The record of an access. One that was permitted has an id made of the request's, so that it stands once."""
        named = hashlib.sha256(f"{service.service_id}\n{ask.request_id}".encode()).hexdigest()[:32]
        access_id = named if outcome == "ok" else self._random(16).hex()
        said = {
            "service": service.service_id,
            "names": {"zh": service.name_zh, "en": service.name_en},
            "line": ask.line,
            "business_type": ask.business_type,
            "claims": [claim.value for claim in ask.claims],
            "way": presented.way.value,
            "ground": ask.acting.ground.value,
            "outcome": "permitted" if outcome == "ok" else "refused",
            "reason": outcome,
        }
        seal = self._cards.people.seal_of(holder)
        return sealed_access(holder.holder_ref, access_id, digest, said, seal, now)


def _require_service(service: RelyingService, ask: Ask, now: datetime) -> None:
    refusal = service.at(now)
    if refusal is not None:
        raise refusal
    require_within(service, ask.line, ask.business_type, ask.claims)
